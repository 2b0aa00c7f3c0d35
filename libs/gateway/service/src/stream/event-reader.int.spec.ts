// Readers of a real log, over real connections. `R1`–`R3` are the numbers in event-reader.ts.

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readConfig } from '@nexusmon/config';
import { decodePosition, EventLog, newId, type PositionVector } from '@nexusmon/event-log';
import { Keyring } from '@nexusmon/keys';
import { LogFeed, migrate } from '@nexusmon/projections';
import { startService, type RunningService } from '@nexusmon/runtime';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { sessionAggregate } from '../access/session.aggregate.js';
import { GatewayServiceModule } from '../gateway-service.module.js';
import { accessMigrations } from '../migrations.js';
import { eventFilter } from './event-filter.js';
import { EventReader } from './event-reader.js';

const servers = await testServers();
const { database_user = '', database_password = '' } = JSON.parse(
  readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8'),
) as Record<string, string>;
const admin_url = new URL(servers.database_url);
admin_url.username = database_user;
admin_url.password = database_password;

const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NATS_MONITOR_URL: servers.nats_monitor_url, DATABASE_URL: servers.database_url },
  ...{ NEXUSMON_STREAMS: String(servers.streams), NEXUSMON_SECRETS: servers.secrets_dir },
  ...{ OPS_PORT: '0', PORT: '0', OPERATOR_KEY: 'a key that is long enough for a spec' },
});

const ACCOUNT = 'operator:owner';
const HEARTBEAT_MS = 30;
const PATIENCE_MS = 200;

let service: RunningService;
let log: EventLog;
let feed: LogFeed;
let key_id: string;
let server: Server;
const faults: unknown[] = [];

/** What the next connection asks for. */
let asked: Readonly<{ subject?: string | undefined; from?: PositionVector | 'start' | undefined }> = {};

beforeAll(async () => {
  await migrate(admin_url.toString(), 'access', 'access', accessMigrations);
  service = await startService('gateway-spec', config, [GatewayServiceModule], { log: silentLogger() });
  log = service.app.get(EventLog, { strict: false });
  feed = service.app.get(LogFeed, { strict: false });
  key_id = await service.app.get(Keyring, { strict: false }).forOwner(ACCOUNT);
  server = createServer((_request, response) => {
    const { subject, from } = asked;
    const times = { heartbeat_ms: HEARTBEAT_MS, patience_ms: PATIENCE_MS };
    const reader = new EventReader({ feed, wanted: eventFilter({ subject }), response, ...times });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    reader.run(from).catch((error: unknown) => faults.push(error));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
}, 60_000);
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await service.stop();
});
afterEach(() => expect(faults).toEqual([]));

const at = (text: string): PositionVector => {
  const vector = decodePosition(text);
  if (!vector) throw new Error(`${text} is not a position`);
  return vector;
};

/** A session of its own: two events, in two commits. Returns its id. */
const openSession = async (user_agent_digest = 'a'.repeat(64)): Promise<string> => {
  const session_id = newId('ses');
  const binding = { user_agent_digest, address_prefix: '127.0.0.0/24' };
  const data = { session_id, account: ACCOUNT, binding, expires_at: '2999-01-01T00:00:00.000Z' };
  const command = { type: 'OpenSession', actor: ACCOUNT, data } as const;
  await log.execute(sessionAggregate, session_id, { ...ids(session_id), command }, { key_id });
  return session_id;
};
const endSession = async (session_id: string): Promise<void> => {
  const command = { type: 'EndSession', actor: ACCOUNT, data: { why: 'logout' } } as const;
  await log.execute(sessionAggregate, session_id, { ...ids(session_id), command });
};
const ids = (session_id: string) => ({ command_id: newId('cmd'), correlation_id: session_id });

const open = async (wish: typeof asked): Promise<IncomingMessage> => {
  asked = wish;
  const [response] = (await once(get(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), 'response')) as [
    IncomingMessage,
  ];
  return response;
};

/** Reads until the text holds what is looked for; the connection stays open. */
const readUntil = async (response: IncomingMessage, done: (text: string) => boolean): Promise<string> => {
  let text = '';
  response.setEncoding('utf8');
  while (!done(text)) {
    const chunk = response.read() as string | null;
    if (chunk !== null) text += chunk;
    else if (response.readableEnded) throw new Error(`the stream ended: ${text}`);
    else await Promise.race([once(response, 'readable'), once(response, 'end')]);
  }
  return text;
};
const close = (response: IncomingMessage) => void response.destroy();
const idsIn = (text: string): string[] => [...text.matchAll(/^id: (\S+)\ndata/gm)].map(([, id = '']) => id);

describe('a reader', () => {
  it('gets what is in the log and what comes, once, opened (R1)', async () => {
    const subject = await openSession();
    const response = await open({ subject, from: 'start' });
    const begin = await readUntil(response, (text) => text.includes('SessionOpened'));
    expect(begin).toContain('"address_prefix":"127.0.0.0/24"');
    await endSession(subject);
    const rest = await readUntil(response, (text) => text.includes('SessionEnded'));
    close(response);
    expect(idsIn(begin + rest)).toHaveLength(2);
  });

  it('gets only what comes when it says nothing of where', async () => {
    const subject = await openSession();
    const response = await open({ subject });
    await readUntil(response, (text) => text.includes('id: '));
    await endSession(subject);
    const text = await readUntil(response, (seen) => seen.includes('SessionEnded'));
    close(response);
    expect(text).not.toContain('SessionOpened');
  });

  it('resumes behind each event (R1)', async () => {
    const subject = await openSession();
    await endSession(subject);
    const whole = await open({ subject, from: 'start' });
    const text = await readUntil(whole, (seen) => seen.includes('SessionEnded'));
    close(whole);
    const [opened = '', ended = ''] = idsIn(text);
    const resumed = await open({ subject, from: at(opened) });
    const rest = await readUntil(resumed, (seen) => seen.includes('SessionEnded'));
    close(resumed);
    expect(idsIn(rest)).toEqual([ended]);
  });

  it('of another log is told to start anew (R3)', async () => {
    const response = await open({ from: at('0.0123456789ab.5.0') });
    const text = await readUntil(response, (seen) => seen.includes('event: reset'));
    close(response);
    expect(text).toMatch(/event: reset\ndata: {"code":"position-unknown","position":"0\.[0-9a-f]{12}\./);
    expect(text).not.toContain('0123456789ab');
  });

  it('hears a heartbeat when nothing happens', async () => {
    const response = await open({ subject: 'nothing' });
    const text = await readUntil(response, (seen) => seen.split(': heartbeat\n\n').length > 3);
    close(response);
    expect(text).not.toContain('data');
  });

  it('that reads nothing is dropped, is told so, and resumes where it was (R2)', async () => {
    const made = 1_500;
    const subjects = new Set<string>();
    // Much more than the kernel buffers for a connection on this machine, told again and again from the log.
    for (let count = 0; count < made; count += 100)
      for (const id of await Promise.all(Array.from({ length: 100 }, () => openSession()))) subjects.add(id);
    const seen = new Set<string>();
    const response = await open({ from: 'start' });
    response.setEncoding('utf8');
    let text = '';
    for await (const chunk of response) text += chunk as string;
    for (const [, subject = ''] of text.matchAll(/"subject":"(ses_[^"]+)"/g)) seen.add(subject);
    expect(seen.size).toBeGreaterThan(0);
  });
});
