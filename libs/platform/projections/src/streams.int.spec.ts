import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { newId } from '@nexusmon/event-log';
import { add, Rig, tally, tallyProjection, type Derivation } from './derived.fixture.js';
import { digestTable } from './digest.js';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({ streams: 4 });
}, 60_000);
afterAll(() => rig.stop());

it('a log of four streams is folded like one of one', async () => {
  const derivation = await rig.derivation();
  const { projections, database, feed } = derivation;
  projections.addProjection(tallyProjection(), database);
  await projections.join();
  projections.start();
  const key_id = await rig.key();
  const ids = Array.from({ length: 40 }, () => newId('tly'));
  const positions = await Promise.all(
    ids.map(async (id) => {
      for (let turn = 0; turn < 4; turn += 1) await rig.add(id, key_id, 1);
      return rig.add(id, key_id, 1);
    }),
  );
  for (const position of positions) expect(await projections.waitFor('mission.tally', position)).toBe(true);
  const { rows } = await database.query('select tally_id, total, created_position from mission.tally_view');
  expect(rows.map(({ total }) => total)).toEqual(ids.map(() => 5));
  expect(new Set(rows.map(({ created_position }) => String(created_position))).size).toBe(ids.length);
  expect(feed.identities().map(({ number }) => feed.dispatchedOf(number) > 0)).toEqual([true, true, true, true]);
  expect((await rig.writer.load(tally, ids[0] ?? '')).state.total).toBe(5);

  const again = await rig.derivation();
  again.projections.addProjection(tallyProjection('mission.again', 'mission.tally_again_view'), again.database);
  await again.projections.join();
  again.projections.start();
  expect(await again.projections.waitFor('mission.again', projections.checkpointPosition('mission.tally'))).toBe(true);
  const digests = await Promise.all(
    ['mission.tally_view', 'mission.tally_again_view'].map((table) => digestTable(database, table, ['tally_id'])),
  );
  expect(digests[0]).toBe(digests[1]);
  await Promise.all([derivation.close(), again.close()]);
}, 60_000);

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await pause(10);
};

/** How many readers of the stream's consumers there are: none while a process feeds itself. */
const deliveries = async (): Promise<number> => {
  const answer = await fetch(`${rig.servers.nats_monitor_url}/connz?auth=1`);
  const { connections } = (await answer.json()) as { connections: { authorized_user?: string; out_bytes: number }[] };
  return connections
    .filter(({ authorized_user }) => authorized_user === 'reader')
    .reduce((sum, { out_bytes }) => sum + out_bytes, 0);
};

describe('a process that writes all there is to write (F6)', () => {
  let derivation: Derivation;
  const seen: string[] = [];
  const from = new Map<number, number>();

  beforeAll(async () => {
    derivation = await rig.derivation();
    const { projections, database, feed } = derivation;
    projections.addProjection(tallyProjection('mission.own', 'mission.tally_view'), database);
    await projections.join();
    const follower = feed.follow(from);
    rig.tell(feed);
    projections.start({ writes_all: true });
    void (async () => {
      for (;;) {
        const commits = await follower.take(64);
        if (commits.length === 0) return;
        seen.push(...commits.map(({ stream, sequence }) => `${stream.number}/${sequence}`));
      }
    })();
  });
  afterAll(async () => {
    rig.tell(undefined);
    await derivation.close();
  });

  const addMany = async (count: number, note: string, key_id: string): Promise<void> => {
    const ids = Array.from({ length: count }, () => newId('tly'));
    const positions = await Promise.all(ids.map((id) => rig.add(id, key_id, 2, note)));
    for (const position of positions)
      expect(await derivation.projections.waitFor('mission.own', position, 20_000)).toBe(true);
    const { rows } = await derivation.database.query('select state from mission.tally_view where tally_id = any($1)', [
      ids,
    ]);
    expect(rows.map(({ state }) => state)).toEqual(ids.map(() => ({ total: 2, notes: [note] })));
  };
  const everyCommit = () =>
    derivation.feed
      .identities()
      .flatMap(({ number }) =>
        Array.from({ length: derivation.feed.dispatchedOf(number) }, (_, index) => `${number}/${index + 1}`),
      );

  it('reads nothing of what it has just written', async () => {
    const key_id = await rig.key();
    await addMany(40, 'first', key_id);
    const before = await deliveries();
    await addMany(100, 'second', key_id);
    // The answers to looks at the end of the log only: a hundred commits are more.
    expect((await deliveries()) - before).toBeLessThan(50_000);
  });

  it('sees what another process writes, when it is idle and when it is not', async () => {
    const stranger = await rig.stranger();
    const key_id = await rig.key();
    const strange = async (note: string) => {
      const { position } = await stranger.writer.execute(tally, newId('tly'), add(1, note), { key_id });
      expect(await derivation.projections.waitFor('mission.own', position, 20_000)).toBe(true);
    };
    await strange('while nothing else happens');
    await Promise.all([addMany(60, 'both', key_id), ...Array.from({ length: 20 }, () => strange('both'))]);
    await stranger.close();
  });

  it('goes on where it was when the server has been away', async () => {
    const key_id = await rig.key();
    const running = addMany(60, 'through the end of a server', key_id);
    await rig.kill('nats');
    await running;
    await addMany(20, 'afterwards', key_id);
  }, 60_000);

  it('has had every commit once, in order, and folds what another would read', async () => {
    await until(() => seen.length >= everyCommit().length);
    const order = [...seen].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    expect(order).toEqual(everyCommit());
    for (const { number } of derivation.feed.identities()) {
      const own = seen.filter((place) => place.startsWith(`${number}/`));
      expect(own).toEqual(order.filter((place) => place.startsWith(`${number}/`)));
    }
    const again = await rig.derivation();
    again.projections.addProjection(tallyProjection('mission.anew', 'mission.tally_again_view'), again.database);
    await again.database.query("delete from mission.checkpoint where name = 'mission.again'");
    await again.database.query('delete from mission.tally_again_view');
    await again.projections.join();
    again.projections.start();
    const position = derivation.projections.checkpointPosition('mission.own');
    expect(await again.projections.waitFor('mission.anew', position, 20_000)).toBe(true);
    const digests = await Promise.all(
      ['mission.tally_view', 'mission.tally_again_view'].map((table) =>
        digestTable(again.database, table, ['tally_id']),
      ),
    );
    expect(digests[0]).toBe(digests[1]);
    await again.close();
  }, 60_000);
});
