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
import { RequestMux, RequestNotPermitted } from './request-mux.js';
import { Unavailable } from './unavailable.js';

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

describe('a request within the process (N5)', () => {
  const hereTo = (server: NatsServer, asker = 'access') =>
    new MessageClient(new RequestMux(access, inboxPrefixOf('gateway')), (subject, body, take) =>
      server.ask(asker, subject, body, take),
    );

  it('is answered without the wire', async () => {
    const server = await listen(async (request) => done(request));
    const before = vault.stats().inMsgs;
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => hereTo(server).request('qry.vault.spec', { index })),
    );
    expect(replies).toMatchObject(replies.map((_, index) => ({ body: { index } })));
    expect(vault.stats().inMsgs).toBe(before);
  });

  it('is refused to a context that may not ask that, as nats-server would', async () => {
    let asked = 0;
    const server = await listen(async () => done((asked += 1)));
    for (const asker of ['governance', 'evolution', 'vault', 'worker', 'nobody', 'toString'])
      await expect(hereTo(server, asker).request('qry.vault.spec', {})).rejects.toThrow(RequestNotPermitted);
    expect(asked).toBe(0);
    expect(await hereTo(server, 'mission').request('qry.vault.spec', {})).toMatchObject({ body: 1 });
  });

  it('is checked as one from elsewhere is', async () => {
    const server = await listen(async (request) => done(request));
    const here = hereTo(server);
    for (const body of ['text', { note: '\u0000' }, undefined, JSON.parse('{"__proto__":{"x":1}}')])
      expect(await here.request('qry.vault.spec', body)).toMatchObject({
        kind: 'refused',
        refusal: { code: 'invalid' },
      });
    expect(await here.request('qry.vault.spec', { at: new Date(0), none: undefined })).toMatchObject({
      body: { at: '1970-01-01T00:00:00.000Z' },
    });
  });

  it('shares nothing with the answer, and the answer nothing with who gave it', async () => {
    const own = { list: [1] };
    const server = await listen(async (request) => {
      (request as { list: number[] }).list.push(2);
      return done(own);
    });
    const sent = { list: [0] };
    const reply = await hereTo(server).request<typeof own>('qry.vault.spec', sent);
    if (reply.kind === 'done') reply.body.list.push(3);
    expect([sent, own]).toEqual([{ list: [0] }, { list: [1] }]);
  });

  it('hands a body on as text, as one over NATS does', async () => {
    const server = await listen(async () => done({ at: new Date(0), none: undefined, list: [1] }));
    const [here, wired] = [
      await hereTo(server).passing('qry.vault.spec', {}),
      await client.passing('qry.vault.spec', {}),
    ];
    const text = (reply: typeof here) => (reply.kind === 'done' ? reply.body.bytes.toString('utf8') : reply.kind);
    expect(text(here)).toBe('{"at":"1970-01-01T00:00:00.000Z","list":[1]}');
    expect([text(wired), Object.keys(wired)]).toEqual([text(here), Object.keys(here)]);
  });

  it('counts among those that are worked on at once (N3)', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const server = await listen(async () => released.then(() => done('late')), 1);
    const first = hereTo(server).request('qry.vault.spec', {});
    expect(await hereTo(server).request('qry.vault.spec', {})).toMatchObject({ kind: 'unavailable' });
    expect(await ask()).toMatchObject({ kind: 'unavailable' });
    release();
    expect(await first).toMatchObject({ body: 'late' });
    expect(server.size).toBe(0);
  });

  it('tells of a fault no more than one over NATS does', async () => {
    const server = await listen(async () => Promise.reject(new Error('secret detail')));
    const reply = await hereTo(server).request('qry.vault.spec', {});
    expect(reply).toMatchObject({ kind: 'unavailable', unavailable: { dependency: 'internal' } });
    expect(JSON.stringify(reply)).not.toContain('secret');
  });

  it('goes on in the trace of whoever asked', async () => {
    const server = await listen(async () => done(traceparent()));
    const header = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    const reply = await withRemoteSpan(header, 'spec', {}, () => hereTo(server).request('qry.vault.spec', {}));
    expect(reply).toMatchObject({ body: expect.stringContaining('0af7651916cd43dd8448eb211c80319c') });
  });

  it('is waited for by a drain, and goes over NATS once the intake has ended (N4)', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const server = await listen(async (request) => {
      if ((request as { slow?: boolean }).slow) await released;
      return done('taken');
    });
    const taken = hereTo(server).request('qry.vault.spec', { slow: true });
    const drained = server.drain().then(() => 'drained');
    expect(server.ask('access', 'qry.vault.spec', {}, (reply) => reply)).toBeUndefined();
    const asked = () => hereTo(server).request('qry.vault.spec', {});
    for (let answering = true; answering;)
      answering = await asked().then(
        () => true,
        (error: unknown) => !(error instanceof Unavailable),
      );
    expect(server.size).toBe(1);
    release();
    expect(await Promise.all([taken, drained])).toMatchObject([{ body: 'taken' }, 'drained']);
  });

  it('is given up in time', async () => {
    const server = await listen(() => new Promise(() => undefined));
    const request = hereTo(server).request('qry.vault.spec', {}, { timeout_ms: 50 });
    await expect(request).rejects.toMatchObject({ name: 'Unavailable', dependency: 'vault' });
    opened.length = 0; // It would wait for the request that never ends.
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
