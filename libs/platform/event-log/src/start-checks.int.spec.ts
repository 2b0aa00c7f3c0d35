import { afterEach, describe, expect, it } from '@jest/globals';
import { headers as newHeaders } from '@nats-io/nats-core';
import { canonical, sha256Hex } from './canonical.js';
import { LogCorrupted, LogReadOnly } from './errors.js';
import { newId } from './ids.js';
import { add, allCommits, createStream, NatsServer, openLog, tally, type Opened } from './log.fixture.js';
import { streamName, subjectOf } from './names.js';
import { scrub } from './scrub.js';
import type { Checkpoint } from './start-checks.js';

const opened: Opened[] = [];
const servers: NatsServer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ close }) => close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const serve = async (...args: Parameters<typeof NatsServer.start>): Promise<NatsServer> => {
  const server = await NatsServer.start(...args);
  servers.push(server);
  return server;
};
const open = async (...args: Parameters<typeof openLog>): Promise<Opened> => {
  const log = await openLog(...args);
  opened.push(log);
  return log;
};

const stream = { number: 0, name: streamName(0) };

describe('a log', () => {
  it('is written once everything has been found as it must be', async () => {
    const server = await serve();
    await createStream(server);
    const { log } = await open(server);
    await expect(log.execute(tally, newId('tly'), add(1))).rejects.toThrow(LogReadOnly);
    expect(await log.start()).toEqual({ writable: true });
    await log.execute(tally, newId('tly'), add(1));
  });

  it.each([
    ['memory storage', { storage: 'memory' }, 'storage'],
    ['acknowledgements before the disk has it', { persist_mode: 'async' }, 'persist_mode'],
    ['deletion', { deny_delete: false }, 'deny_delete'],
    ['purge', { deny_purge: false }, 'deny_purge'],
    ['direct reads', { allow_direct: true }, 'allow_direct'],
    ['rollup', { deny_purge: false, allow_rollup_hdrs: true }, 'allow_rollup_hdrs'],
    ['a TTL for messages', { allow_msg_ttl: true }, 'allow_msg_ttl'],
    ['an age', { max_age: 3_600_000_000_000 }, 'max_age'],
    ['a limit by discarding the old', { discard: 'old', max_msgs: 10 }, 'discard'],
    ['other subjects', { subjects: ['evt.00.>'] }, 'subjects'],
  ])('is read-only on a stream with %s (V1)', async (_, changes, reason) => {
    const server = await serve();
    await createStream(server, changes);
    const { log } = await open(server);
    expect(await log.start()).toEqual({ writable: false, reason: expect.stringContaining(reason) });
    await expect(log.execute(tally, newId('tly'), add(1))).rejects.toThrow(LogReadOnly);
    expect(await log.load(tally, newId('tly'))).toMatchObject({ revision: 0 });
  });

  it('is read-only on a server that acknowledges before it syncs, or does not say (V2)', async () => {
    const server = await serve('2m');
    await createStream(server);
    const lax = await open(server);
    expect(await lax.log.start()).toMatchObject({ reason: expect.stringContaining('sync_interval must be always') });
    const silent = await open(server, { monitor: undefined });
    expect(await silent.log.start()).toMatchObject({ reason: expect.stringContaining('nobody can say') });
    const wrong = await open(server, { monitor: { monitor_url: `http://127.0.0.1:${server.port}` } });
    expect(await wrong.log.start()).toMatchObject({ reason: expect.stringContaining('does not say') });
  });

  it('asks the system account where there is no monitor', async () => {
    const accounts =
      'accounts { SYS { users [{user: sys, password: sys}] }, APP { jetstream: enabled, users [{user: app, password: app}] } }\n' +
      'system_account: SYS\nno_auth_user: app\n';
    const server = await serve('always', accounts);
    await createStream(server);
    const system = await open(server, { user: 'sys', pass: 'sys' });
    const server_id = system.connection.info?.server_id ?? '';
    const { log } = await open(server, { monitor: { system: system.connection, server_id } });
    expect(await log.start()).toEqual({ writable: true });
  });

  it('is read-only where it contradicts a checkpoint (V3)', async () => {
    const server = await serve();
    await createStream(server);
    const writer = await open(server);
    await writer.log.start();
    await writer.log.execute(tally, newId('tly'), add(1));
    await writer.log.execute(tally, newId('tly'), add(1));
    const hashes = (await allCommits(writer)).map(({ hash }) => hash);
    const incarnation = writer.log.identities()[0]?.incarnation ?? '';
    const checkpoint: Checkpoint = {
      name: 'missions',
      stream: stream.name,
      incarnation,
      sequence: 2,
      hash: hashes[1] ?? '',
    };
    const startWith = async (changes: Partial<Checkpoint>) =>
      (await open(server)).log.start([{ ...checkpoint, ...changes }]);

    expect(await startWith({})).toEqual({ writable: true });
    expect(await startWith({ sequence: 0, hash: '' })).toEqual({ writable: true });
    expect(await startWith({ hash: hashes[0] ?? '' })).toMatchObject({
      reason: expect.stringContaining('is not the one'),
    });
    expect(await startWith({ sequence: 3 })).toMatchObject({ reason: expect.stringContaining('ends at 2') });
    expect(await startWith({ incarnation: '0123456789ab' })).toMatchObject({
      reason: expect.stringContaining('is not the stream'),
    });
    expect(await startWith({ stream: 'NEXUSMON_EVENTS_7' })).toMatchObject({
      reason: expect.stringContaining('does not have'),
    });
    expect(await writer.log.verifyCheckpoints([{ ...checkpoint, sequence: 9 }])).toMatchObject({ writable: false });
    await expect(writer.log.execute(tally, newId('tly'), add(1))).rejects.toThrow(LogReadOnly);
  });

  it('has its aggregates in as many streams as it was born with', async () => {
    const server = await serve();
    await createStream(server, {}, 4);
    const { log } = await open(server, { streams: 4 });
    expect(await log.start()).toEqual({ writable: true });
    const ids = Array.from({ length: 40 }, () => newId('tly'));
    const positions = await Promise.all(ids.map(async (id) => (await log.execute(tally, id, add(1))).position));
    expect(new Set(positions.map((position) => position.split('.')[0]))).toEqual(new Set(['0', '1', '2', '3']));
    for (const id of ids) expect((await log.load(tally, id)).state.total).toBe(1);
    const mistaken = await open(server, { streams: 2 });
    expect(await mistaken.log.start()).toMatchObject({ writable: false, reason: expect.stringContaining('subjects') });
  });

  it('ends the process that may not write it (E3)', async () => {
    const permissions =
      'authorization { users [ {user: admin, password: x}, {user: other, password: x, permissions: {' +
      ' publish: {allow: ["evt.*.other.>", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*"]}, subscribe: ["_INBOX_mission.>"]}} ] }\nno_auth_user: admin';
    const server = await serve('always', permissions);
    await createStream(server);
    const { log, fatal } = await open(server, { user: 'other', pass: 'x' });
    expect(await log.start()).toEqual({ writable: true });
    await expect(log.execute(tally, newId('tly'), add(1))).rejects.toThrow('may not publish');
    expect(fatal).toHaveLength(1);
  });
});

/** Writes what no decision made, past the log. */
const plant = async ({ mux }: Opened, id: string, expected: number, previous: string, line: string): Promise<void> => {
  const headers = newHeaders();
  headers.set('Nexusmon-Schema', '1');
  headers.set('Nats-Expected-Last-Subject-Sequence', String(expected));
  headers.set('Nexusmon-Commands', newId('cmd'));
  headers.set('Nexusmon-State', '-');
  if (previous) headers.set('Nexusmon-Previous', previous);
  await mux.request(subjectOf('mission', 'tally', id), Buffer.from(line), { timeout_ms: 2_000, headers });
};

describe('a scrub', () => {
  it('finds nothing wrong with what the log wrote, and goes on from where it was', async () => {
    const server = await serve();
    await createStream(server);
    const writer = await open(server);
    await writer.log.start();
    const ids = Array.from({ length: 30 }, () => newId('tly'));
    for (let round = 0; round < 5; round += 1)
      await Promise.all(ids.map((id) => writer.log.execute(tally, id, add(1))));
    expect(await scrub({ ...writer, stream })).toEqual({ reached: 150, faults: [] });
    const reached: number[] = [];
    const later = await scrub({ ...writer, stream, from: 100, onProgress: ({ sequence }) => reached.push(sequence) });
    expect([later, reached]).toEqual([{ reached: 150, faults: [] }, [150]]);
    expect(await scrub({ ...writer, stream, from: 151 })).toEqual({ reached: 150, faults: [] });
    const shorter = await scrub({ ...writer, stream, from: 161 });
    expect(shorter.faults).toEqual([expect.stringContaining('ends at 150 and has had 160 messages')]);
  });

  it('names the commit whose past is another, and the log refuses to build on it', async () => {
    const server = await serve();
    await createStream(server);
    const writer = await open(server);
    await writer.log.start();
    const [id, garbled] = [newId('tly'), newId('tly')];
    await writer.log.execute(tally, id, add(1));
    const [first] = await allCommits(writer);
    await plant(writer, id, 1, sha256Hex('another past'), canonical(first?.stored ?? []));
    await plant(writer, garbled, 0, '', 'no JSON');
    const { faults } = await scrub({ ...writer, stream });
    expect(faults).toEqual([expect.stringContaining('does not follow'), expect.stringContaining('is not a commit')]);

    const reader = await open(server);
    await reader.log.start();
    await expect(reader.log.load(tally, id)).rejects.toThrow(LogCorrupted);
    expect(reader.log.status()).toMatchObject({ writable: false });
  });
});
