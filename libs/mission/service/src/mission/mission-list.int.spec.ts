// The list of missions over real servers. `L1`–`L3` are the numbers in mission-list.ts. What the promised times are at
// volume, `npm run bench -- --only reads` measures.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { readConfig } from '@nexusmon/config';
import { EventLog } from '@nexusmon/event-log';
import { Keyring } from '@nexusmon/keys';
import { listMissions, type MissionDocument } from '@nexusmon/mission-contract';
import { Database, migrate, Projections, readDigest } from '@nexusmon/projections';
import { Derived, PlatformModule, startService, type RunningService } from '@nexusmon/runtime';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { FILL_FROM_STATE } from '../migrations/0004-mission-lists.js';
import { missionMigrations } from '../migrations/index.js';
import { MalformedCursor, MissionList, pageStatement } from './mission-list.js';
import { MISSION_GOAL_VIEW, MISSION_LIST_VIEW, missionProjection } from './mission.projection.js';
import { appendPastMission } from './past-missions.fixture.js';

const MISSIONS = 600;

const servers = await testServers({ own: true });
const log = silentLogger();

const admin = await (async () => {
  const secrets = JSON.parse(readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8')) as Record<string, string>;
  const { database_user: user = '', database_password: password = '' } = secrets;
  const url = new URL(servers.database_url);
  [url.username, url.password] = [user, password];
  await migrate(url.toString(), 'mission', 'mission', missionMigrations);
  return Database.open({ url: servers.database_url, user, password, connections_max: 1, name: 'spec' });
})();

@Injectable()
class Derivations {
  constructor(derived: Derived) {
    derived.addProjection(missionProjection);
  }
}
@Module({ imports: [PlatformModule.forContext('mission')], providers: [Derivations, MissionList] })
class Lists {}

const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NATS_MONITOR_URL: servers.nats_monitor_url, DATABASE_URL: servers.database_url },
  ...{ S3_ENDPOINT: servers.s3_endpoint, S3_BUCKET: servers.s3_bucket, NEXUSMON_STREAMS: String(servers.streams) },
  ...{ NEXUSMON_SECRETS: servers.secrets_dir, OPS_PORT: '0' },
});

let service: RunningService;
let list: MissionList;
let projections: Projections;
let next = 0;
/** Appends so many more and waits until the list has them. */
const fill = async (count: number): Promise<readonly string[]> => {
  const [events, keyring] = [service.app.get(EventLog, { strict: false }), service.app.get(Keyring, { strict: false })];
  const made: { mission_id: string; position: string }[] = [];
  const work = async (until: number) => {
    while (next < until) made.push(await appendPastMission(events, keyring, next++));
  };
  const until = next + count;
  await Promise.all(Array.from({ length: 16 }, () => work(until)));
  for (const { position } of made)
    if (!(await projections.waitFor(missionProjection.name, position, 60_000))) throw new Error('not projected');
  return made.map(({ mission_id }) => mission_id);
};

beforeAll(async () => {
  service = await startService('list-spec', config, [Lists], { log });
  list = service.app.get(MissionList, { strict: false });
  projections = service.app.get(Projections, { strict: false });
  await fill(MISSIONS);
  await admin.query('analyze');
}, 120_000);
afterAll(async () => {
  await service.stop();
  await admin.close();
});

const query = (wanted: object) => listMissions.parse({ limit: 100, ...wanted });
/** All pages, and what `between` does between each two. */
const everything = async (wanted: object = {}, between?: () => Promise<unknown>): Promise<MissionDocument[]> => {
  const found: MissionDocument[] = [];
  for (let cursor: string | undefined; ;) {
    const { data, next_cursor } = await list.page(query({ ...wanted, cursor }));
    found.push(...data);
    if (next_cursor === null) return found;
    cursor = next_cursor;
    await between?.();
  }
};
const idsOf = (missions: readonly MissionDocument[]) => missions.map(({ mission_id }) => mission_id);

describe('the list of missions', () => {
  it('neither skips nor repeats while missions are added and changed (L2)', async () => {
    const before = idsOf(await everything());
    expect(new Set(before).size).toBe(before.length);
    expect(before).toHaveLength(next);
    const paged = idsOf(await everything({ limit: 50 }, () => fill(3)));
    expect(paged).toEqual(before);
    expect(idsOf(await everything()).slice(-before.length)).toEqual(before);
  }, 60_000);

  it('shows by each filter, alone and together, what the documents say, in their order (L1, L3)', async () => {
    const all = await everything();
    const [middle, late] = [all[Math.floor(all.length / 2)]?.created_at ?? '', all[10]?.created_at ?? ''];
    const says = (word: string) => (mission: MissionDocument) => mission.goal.toLowerCase().includes(word);
    type Row = readonly [object, (mission: MissionDocument) => boolean];
    const rows: readonly Row[] = [
      [{ status: 'failed' }, ({ status }) => status === 'failed'],
      [{ category: 'coin' }, ({ category }) => category === 'coin'],
      [{ rank: 'D' }, ({ rank }) => rank === 'D'],
      [{ effective_rank: 'B' }, ({ effective_rank }) => effective_rank === 'B'],
      [{ requested_by: 'operator:lin' }, ({ requested_by }) => requested_by === 'operator:lin'],
      [{ tag: 'batch-7' }, ({ tags }) => tags.includes('batch-7')],
      [{ needs: 'review' }, ({ decision }) => decision?.outcome === 'execute_and_flag'],
      [{ created_from: middle }, ({ created_at }) => created_at >= middle],
      [{ created_from: middle, created_before: late }, ({ created_at: at }) => at >= middle && at < late],
      [{ search: 'TROMSØ' }, says('tromsø')],
      [{ search: 'round invoices' }, (mission) => says('round')(mission) && says('invoices')(mission)],
      [
        { search: 'licences', status: 'completed', category: 'forge', rank: 'E' },
        (mission) =>
          says('licences')(mission) &&
          [mission.status, mission.category, mission.rank].join() === ['completed', 'forge', 'E'].join(),
      ],
    ];
    for (const [wanted, holds] of rows) {
      const expected = idsOf(all.filter(holds));
      expect(expected.length).toBeGreaterThan(0);
      expect([wanted, idsOf(await everything(wanted))]).toEqual([wanted, expected]);
    }
    for (const nothing of [{ needs: 'approval' }, { template: 'none' }, { search: '%__%' }, { search: 'no\\such' }])
      expect(await everything(nothing)).toEqual([]);
  }, 60_000);

  it('takes no search that would look through everything, and no cursor of another list', async () => {
    for (const search of ['', 'ab', 'a b c', 'x'.repeat(201)])
      expect(listMissions.safeParse({ search }).success).toBe(false);
    await expect(list.page(query({ cursor: 'nonsense' }))).rejects.toThrow(MalformedCursor);
  });

  it.each([
    [{}, 'created_position_idx'],
    [{ status: 'failed' }, 'created_position_idx'],
    [{ category: 'coin' }, 'created_position_idx'],
    [{ requested_by: 'operator:nobody' }, 'mission_list_view_requested_by_created_position_idx'],
    [{ template: 'none' }, 'mission_list_view_template_created_position_idx'],
    [{ effective_rank: 'S' }, 'mission_list_view_effective_rank_created_position_idx'],
    [{ tag: 'batch-7' }, 'mission_list_view_tags_idx'],
    [{ needs: 'approval' }, 'created_position_idx'],
    [{ created_before: '2026-01-01T00:00:00.000Z' }, 'mission_list_view_created_at_idx'],
    [{ search: 'nowhere' }, 'mission_goal_view_goal_idx'],
  ])('goes by an index for %j (L1)', async (wanted, index) => {
    const { sql, parameters } = pageStatement(query(wanted));
    const plan = await admin.transaction(async (one) => {
      // So few rows would be read through faster than looked up.
      await one.query('set local enable_seqscan = off');
      if ('search' in wanted) await one.query('set local enable_indexscan = off');
      const { rows } = await one.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, parameters);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
    expect(plan).toContain(index);
    expect(plan).not.toContain('Seq Scan');
  });

  it('was filled by its migration with what the projection writes', async () => {
    const digests = () =>
      Promise.all([MISSION_LIST_VIEW, MISSION_GOAL_VIEW].map((table) => readDigest(admin, table, ['mission_id'])));
    const before = await digests();
    expect(before.map(({ rows }) => rows)).toEqual([next, next]);
    await admin.query(`truncate ${MISSION_LIST_VIEW}, ${MISSION_GOAL_VIEW}`);
    for (const statement of FILL_FROM_STATE) await admin.query(statement);
    expect(await digests()).toEqual(before);
  });
});
