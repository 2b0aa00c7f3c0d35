// Readers of a real log, over real connections. `R1`–`R3` are the numbers in event-reader.ts.

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
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
const LIMITS = { heartbeat_ms: 30, patience_ms: 200, unread_bytes_max: 64 * 1024 };
/** Their events are several times what a socket and a reader hold. */
const SESSIONS = 1_500;

let service: RunningService;
let log: EventLog;
let feed: LogFeed;
let key_id: string;
let server: Server;
const faults: unknown[] = [];
/** Tells of every reader that begins. */
const begun = new EventEmitter();
/** A socket in the file system: unlike TCP, the kernel holds little of what is not read. */
const folder = mkdtempSync(join(tmpdir(), 'nexusmon-readers-'));
const path = join(folder, 'socket');

/** What the next connection asks for. */
let asked: Readonly<{ subject?: string; from?: PositionVector | 'start' | undefined }> = {};

beforeAll(async () => {
  await migrate(admin_url.toString(), 'access', 'access', accessMigrations);
  service = await startService('gateway-spec', config, [GatewayServiceModule], { log: silentLogger() });
  log = service.app.get(EventLog, { strict: false });
  feed = service.app.get(LogFeed, { strict: false });
  key_id = await service.app.get(Keyring, { strict: false }).forOwner(ACCOUNT);
  server = createServer((_request, response) => {
    const { subject, from } = asked;
    const reader = new EventReader({ feed, wanted: eventFilter({ subject }), response, ...LIMITS });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const over = reader.run(from).catch((error: unknown) => void faults.push(error));
    begun.emit('run', { over });
  });
  await new Promise<void>((done) => server.listen(path, done));
}, 60_000);
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await service.stop();
  rmSync(folder, { recursive: true });
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
  const [response] = (await once(get({ socketPath: path }), 'response')) as [IncomingMessage];
  return response;
};

/** Reads until the text holds what is looked for; the connection stays open. */
const readUntil = async (response: IncomingMessage, done: (text: string) => boolean): Promise<string> => {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (done(text)) return text;
  }
  throw new Error(`the stream ended: ${text}`);
};
const close = (response: IncomingMessage) => void response.destroy();
const subjectsIn = (text: string): string[] => [...text.matchAll(/"subject":"(ses_[^"]+)"/g)].map(([, id = '']) => id);
const idsIn = (text: string): string[] => [...text.matchAll(/^id: (\S+)\ndata/gm)].map(([, id = '']) => id);

const sequenceOf = (id: string): number => Number(id.split('.')[2]);

/** Until this process has read what was written so far: what it reads after that is what comes. */
const read = async (subject: string) => {
  const { position } = await log.load(sessionAggregate, subject);
  const written = [...(decodePosition(position) ?? [])];
  while (!written.every(([stream, { sequence }]) => feed.dispatchedOf(stream) >= sequence))
    await new Promise((wake) => setTimeout(wake, 5));
};

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
    await read(subject);
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

  it.each([
    ['of another log', () => '0.0123456789ab.5.0'],
    ['behind the end of this one', () => `0.${feed.identities()[0]?.incarnation ?? ''}.99999999.0`],
  ])('%s is told to start anew (R3)', async (_, position) => {
    const response = await open({ from: at(position()) });
    const text = await readUntil(response, (seen) => seen.includes('event: reset'));
    close(response);
    expect(text).toMatch(/event: reset\ndata: {"code":"position-unknown","position":"0\.[0-9a-f]{12}\./);
    expect(text).not.toContain(position());
  });

  it('hears a heartbeat when nothing happens', async () => {
    const response = await open({ subject: 'nothing' });
    const text = await readUntil(response, (seen) => seen.split(': heartbeat\n\n').length > 3);
    close(response);
    expect(text).not.toContain('data');
  });

  it('that reads nothing is dropped, is told so, and resumes where it was (R2)', async () => {
    const begin = (await log.load(sessionAggregate, await openSession())).position;
    const subjects: string[] = [];
    while (subjects.length < SESSIONS)
      subjects.push(...(await Promise.all(Array.from({ length: 100 }, () => openSession()))));
    const last = await openSession();
    subjects.push(last);

    asked = { from: at(begin) };
    const socket = connect({ path });
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'connect');
    const [running] = (await once(begun, 'run')) as [{ over: Promise<void> }];
    await running.over;
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.resume();
    await once(socket, 'close');
    const [, position = ''] = /event: dropped\ndata: {"code":"slow-reader",.*"position":"([^"]+)"}/.exec(text) ?? [];

    const resumed = await open({ from: at(position) });
    const rest = await readUntil(resumed, (seen) => subjectsIn(seen).includes(last));
    close(resumed);
    expect(subjectsIn(text).length).toBeLessThan(SESSIONS);
    const ids_seen = idsIn(text + rest);
    expect(ids_seen).toEqual([...new Set(ids_seen)].sort((one, other) => sequenceOf(one) - sequenceOf(other)));
    const mine = new Set(subjects);
    const seen = [...subjectsIn(text), ...subjectsIn(rest)].filter((subject) => mine.has(subject));
    expect(seen.sort()).toEqual(subjects.sort());
  }, 60_000);
});
