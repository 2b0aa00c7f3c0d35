import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { newId } from '@nexusmon/event-log';
import { Rig, tally, tallyProjection } from './derived.fixture.js';
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
