import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfig, readSecrets, type Context } from '@nexusmon/config';
import { silentLogger, traceparent, withRemoteSpan } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import type { NatsConnection } from '@nats-io/nats-core';
import { startTracing, type Tracing } from '@nexusmon/telemetry';
import { z } from 'zod';
import { connectNats, inboxPrefixOf } from './connect.js';
import { contextOfSubject, Handle, registeredSubjects } from './handle.js';
import { MessageClient } from './message-client.js';
import { NatsServer } from './nats-server.js';
import { RequestMux } from './request-mux.js';

const servers = await testServers();
const config = readConfig({ NATS_URL: servers.nats_url, NEXUSMON_SECRETS: servers.secrets_dir });
const log = silentLogger();

const connectAs = (context: Context): Promise<NatsConnection> => {
  const { nats_user: user, nats_password: password } = readSecrets(config, context);
  return connectNats({ url: config.nats.url, user, password, name: 'spec' }, log);
};

let vault: NatsConnection;
let access: NatsConnection;
let client: MessageClient;
let tracing: Tracing;
const opened: NatsServer[] = [];

beforeAll(async () => {
  tracing = startTracing({ service: 'spec', endpoint: undefined, share: 1 });
  [vault, access] = await Promise.all([connectAs('vault'), connectAs('access')]);
  client = new MessageClient(new RequestMux(access, inboxPrefixOf('gateway')));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.drain()));
});
afterAll(async () => {
  await Promise.all([vault.close(), access.close()]);
  await tracing.stop();
});

type Handler = (request: unknown) => Promise<unknown>;

const listen = async (handler: Handler, requests_max?: number, connection = vault): Promise<NatsServer> => {
  const server = new NatsServer(() => [{ context: 'vault', connection }], log, requests_max);
  opened.push(server);
  server.addHandler('qry.vault.spec', async (request: unknown) => handler(request), false, {
    schema: z.object({}).loose(),
  });
  await new Promise<void>((resolve, reject) => {
    server.listen((error) => (error instanceof Error ? reject(error) : resolve()));
  });
  return server;
};

const done = (body: unknown) => ({ kind: 'done', changed: false, position: '', body });
const ask = (body: object = {}) => client.request('qry.vault.spec', body);

describe('the server of requests', () => {
  it('tells the one that is too many to come again (N3)', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await listen(async () => {
      await released;
      return done('late');
    }, 2);
    const asked = [ask(), ask(), ask()];
    expect(await asked[2]).toMatchObject({ kind: 'unavailable', unavailable: { dependency: 'vault' } });
    release();
    expect(await Promise.all(asked.slice(0, 2))).toMatchObject([{ body: 'late' }, { body: 'late' }]);
    expect(await ask()).toMatchObject({ body: 'late' });
  });

  it('answers also what is too large to be sent (N1)', async () => {
    await listen(async () => done('x'.repeat((vault.info?.max_payload ?? 0) + 1)));
    expect(await ask()).toMatchObject({ kind: 'unavailable', unavailable: { dependency: 'internal' } });
  });

  it('shares a context between processes: each request is answered once', async () => {
    const second = await connectAs('vault');
    const count = { first: 0, second: 0 };
    await listen(async () => done((count.first += 1)));
    const other = await listen(async () => done((count.second += 1)), undefined, second);
    await Promise.all(Array.from({ length: 200 }, () => ask()));
    expect(count.first + count.second).toBe(200);
    expect(Math.min(count.first, count.second)).toBeGreaterThan(0);
    await other.drain();
    await second.close();
  });

  it('goes on in the trace of whoever asked', async () => {
    await listen(async () => done(traceparent()));
    const header = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    const reply = await withRemoteSpan(header, 'spec', {}, () => ask());
    expect(reply).toMatchObject({ body: expect.stringContaining('0af7651916cd43dd8448eb211c80319c') });
  });

  it('does not listen for a context that is not in its process', async () => {
    const server = new NatsServer(() => [], log);
    server.addHandler('qry.vault.spec', async () => done(1), false, { schema: z.object({}) });
    const listening = new Promise<unknown>((resolve) => {
      server.listen(resolve);
    });
    expect(await listening).toMatchObject({ message: 'qry.vault.spec: this process is not vault' });
  });
});

describe('the client of requests', () => {
  it('says which dependency did not answer in time', async () => {
    await listen(() => new Promise(() => undefined));
    const request = client.request('qry.vault.spec', {}, { timeout_ms: 50 });
    await expect(request).rejects.toMatchObject({ name: 'Unavailable', dependency: 'vault' });
    opened.length = 0; // It would wait for the request that never ends.
  });
});

describe('the registry of requests', () => {
  const handler = { value: async () => ({ kind: 'done', changed: false, position: '', body: 1 }) as const };

  it('takes each subject once, in its form', () => {
    const handle = Handle('qry.spec.known', z.object({}));
    handle({}, 'known', handler);
    expect(() => handle({}, 'known', handler)).toThrow('two handlers');
    expect(() => Handle('evt.00.mission.x', z.object({}))({}, 'x', handler)).toThrow('not the subject of a request');
    expect(registeredSubjects().find(({ subject }) => subject === 'qry.spec.known')).toMatchObject({
      kind: 'qry',
      context: 'spec',
    });
    expect(contextOfSubject('cmd.mission.create')).toBe('mission');
  });
});
