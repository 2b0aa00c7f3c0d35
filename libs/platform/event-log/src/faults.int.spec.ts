// What the log does when its answers get lost: seen through a proxy that loses them, and with a server that is killed.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { LogCorrupted, LogReadOnly, LogUnavailable } from './errors.js';
import { newId } from './ids.js';
import {
  add,
  allCommits,
  createStream,
  NatsServer,
  openLog,
  Proxy,
  tally,
  untilStored,
  type Opened,
} from './log.fixture.js';
import { scrub } from './scrub.js';
import { streamName } from './names.js';

describe('an append whose answer is lost', () => {
  let server: NatsServer;
  let proxy: Proxy;
  let direct: Opened;
  let through: Opened;
  let id: string;
  let stored: number;

  beforeAll(async () => {
    server = await NatsServer.start();
    await createStream(server);
    direct = await openLog(server);
    await direct.log.start();
  }, 30_000);
  afterAll(async () => {
    await direct.close();
    await server.stop();
  });
  beforeEach(async () => {
    proxy = await Proxy.before(server.port);
    through = await openLog(server, { port: proxy.port });
    await through.log.start();
    id = newId('tly');
    await through.log.execute(tally, id, add(1));
    stored = (await allCommits(direct)).length;
  });
  afterEach(async () => {
    await through.close();
    await proxy.close();
  });

  const commitsOf = async () => (await allCommits(direct)).filter((commit) => commit.id === id);

  it('is found to be ours when it was stored', async () => {
    proxy.loseReplies();
    const answer = through.log.execute(tally, id, add(2));
    await untilStored(direct, stored + 1);
    proxy.sever();
    expect(await answer).toMatchObject({ kind: 'accepted', state: { total: 3 }, revision: 2 });
    expect(await commitsOf()).toHaveLength(2);
  });

  it('is found to be ours also when another commit follows it', async () => {
    proxy.loseReplies();
    const answer = through.log.execute(tally, id, add(2));
    await untilStored(direct, stored + 1);
    expect(await direct.log.execute(tally, id, add(10))).toMatchObject({ state: { total: 13 } });
    proxy.sever();
    expect(await answer).toMatchObject({ kind: 'accepted', state: { total: 3 }, revision: 2 });
    expect((await direct.log.load(tally, id)).state.total).toBe(13);
    expect(await through.log.execute(tally, id, add(1))).toMatchObject({ state: { total: 14 } });
  });

  it('is sent again when it never arrived', async () => {
    proxy.loseRequests();
    const answer = through.log.execute(tally, id, add(2));
    await proxy.untilLost('HPUB evt');
    proxy.sever();
    expect(await answer).toMatchObject({ kind: 'accepted', state: { total: 3 }, revision: 2 });
    expect(await commitsOf()).toHaveLength(2);
  });

  it('is decided again when another took its place', async () => {
    proxy.loseRequests();
    const answer = through.log.execute(tally, id, add(2));
    await proxy.untilLost('HPUB evt');
    await direct.log.execute(tally, id, add(10));
    proxy.sever();
    expect(await answer).toMatchObject({ kind: 'accepted', state: { total: 13 }, revision: 3 });
  });

  it('is found to be ours when the answers were only late', async () => {
    proxy.holdReplies();
    const answer = through.log.execute(tally, id, add(2));
    await pause(2_300); // The time-out of an append itself is what this is about.
    proxy.releaseReplies();
    expect(await answer).toMatchObject({ kind: 'accepted', state: { total: 3 }, revision: 2 });
    expect(await commitsOf()).toHaveLength(2);
  });

  it('is unknown past the deadline, and its repeat is harmless', async () => {
    proxy.loseReplies();
    const command = add(2);
    await expect(through.log.execute(tally, id, command)).rejects.toThrow(LogUnavailable);
    proxy.sever();
    expect((await through.log.execute(tally, id, command)).kind).toBe('nothing');
    expect(await commitsOf()).toHaveLength(2);
  }, 15_000);
});

describe('a server that is killed', () => {
  it('has every acknowledged command once, and every chain whole', async () => {
    const server = await NatsServer.start();
    await createStream(server);
    const opened = await openLog(server);
    await opened.log.start();
    const ids = Array.from({ length: 40 }, () => newId('tly'));
    const acknowledged: string[] = [];
    const unknown: string[] = [];
    const stop = new AbortController();
    const load = Array.from({ length: 32 }, async (_, worker) => {
      for (let round = worker; !stop.signal.aborted; round += 7) {
        const command = add(1);
        try {
          await opened.log.execute(tally, ids[round % ids.length] ?? '', command);
          acknowledged.push(command.command_id);
        } catch (error) {
          if (!(error instanceof LogUnavailable)) throw error;
          unknown.push(command.command_id);
        }
      }
    });
    for (let kill = 1; kill <= 4; kill += 1) {
      const goal = acknowledged.length + 200;
      while (acknowledged.length < goal) await pause(5);
      await server.kill();
      await server.run();
    }
    const goal = acknowledged.length + 200;
    while (acknowledged.length < goal) await pause(5);
    stop.abort();
    await Promise.all(load);

    const counts = new Map<string, number>();
    for (const { commands } of await allCommits(opened))
      for (const { command_id } of commands) counts.set(command_id, (counts.get(command_id) ?? 0) + 1);
    expect(acknowledged.filter((command_id) => counts.get(command_id) !== 1)).toEqual([]);
    expect(unknown.filter((command_id) => (counts.get(command_id) ?? 0) > 1)).toEqual([]);
    const scrubbed = await scrub({ ...opened, stream: { number: 0, name: streamName(0) } });
    expect(scrubbed.faults).toEqual([]);
    expect(opened.log.status()).toEqual({ writable: true });
    await opened.close();
    await server.stop();
  }, 60_000);

  it('that comes back with another log is not written again (E1)', async () => {
    const server = await NatsServer.start();
    await createStream(server);
    const opened = await openLog(server);
    await opened.log.start();
    const id = newId('tly');
    await opened.log.execute(tally, id, add(1));
    await server.kill();
    server.forget();
    await server.run();
    await createStream(server);
    await expect(opened.log.execute(tally, id, add(1))).rejects.toThrow(LogReadOnly);
    expect(opened.log.status()).toMatchObject({ writable: false, reason: expect.stringContaining('made anew') });
    await opened.close();
    await server.stop();
  }, 30_000);

  it('that comes back with less than it acknowledged is not written again (E1)', async () => {
    const server = await NatsServer.start();
    await createStream(server);
    const opened = await openLog(server);
    await opened.log.start();
    const id = newId('tly');
    await opened.log.execute(tally, id, add(1));
    await server.kill();
    server.keep();
    await server.run();
    await opened.log.execute(tally, id, add(1));
    await server.kill();
    server.restore();
    await server.run();
    await expect(opened.log.execute(tally, newId('tly'), add(1))).rejects.toThrow(LogReadOnly);
    expect(opened.log.status()).toMatchObject({ reason: expect.stringContaining('had reached 2 and came back') });
    await expect(opened.log.load(tally, id)).rejects.toThrow(LogCorrupted);
    await opened.close();
    await server.stop();
  }, 30_000);
});
