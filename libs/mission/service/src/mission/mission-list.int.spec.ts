// The list of missions over real servers. `L1`–`L6` are the numbers in mission-list.ts. What the promised times are at
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
import { ANSWER_BYTES_MAX } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { FILL_FROM_STATE } from '../migrations/0004-mission-lists.js';
import { FOLD_GOALS } from '../migrations/0006-mission-list-order.js';
import { missionMigrations } from '../migrations/index.js';
import { listStatement, MalformedCursor, MissionList, pageStatement } from './mission-list.js';
import { MISSION_GOAL_VIEW, MISSION_LIST_VIEW, MISSION_VIEW, missionProjection } from './mission.projection.js';
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
const fill = async (count: number, said = ''): Promise<readonly string[]> => {
  const [events, keyring] = [service.app.get(EventLog, { strict: false }), service.app.get(Keyring, { strict: false })];
  const made: { mission_id: string; position: string }[] = [];
  const work = async (until: number) => {
    while (next < until) made.push(await appendPastMission(events, keyring, next++, { said }));
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
  it.each([
    ['of all', {}],
    ['of one status', { status: 'completed' }],
    ['of several conditions', { status: 'completed', requested_by: 'operator:lin' }],
    ['of a range', { created_from: '2020-01-01T00:00:00.000Z' }],
    ['of a search', { search: 'round' }],
    ['of a search in a range', { search: 'round', created_from: '2020-01-01T00:00:00.000Z', rank: 'E' }],
  ])(
    'neither skips nor repeats %s while missions are added and changed (L2)',
    async (_, wanted) => {
      const before = idsOf(await everything(wanted));
      expect(before.length).toBeGreaterThan(100);
      expect(new Set(before).size).toBe(before.length);
      const paged = idsOf(await everything({ ...wanted, limit: 50 }, () => fill(4)));
      expect(paged).toEqual(before);
      const after = idsOf(await everything(wanted));
      expect(after.length).toBeGreaterThan(before.length);
      expect(after.slice(-before.length)).toEqual(before);
    },
    60_000,
  );

  it('shows by each filter, alone and together, what the documents say, in their order (L1, L3, L4)', async () => {
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
    const byTime = all.toSorted(({ created_at: a }, { created_at: b }) => (a === b ? 0 : a < b ? 1 : -1));
    for (const [wanted, holds] of rows) {
      const expected = idsOf(('created_from' in wanted ? byTime : all).filter(holds));
      expect(expected.length).toBeGreaterThan(0);
      expect([wanted, idsOf(await everything(wanted))]).toEqual([wanted, expected]);
    }
    for (const nothing of [{ needs: 'approval' }, { template: 'none' }, { search: '%__%' }, { search: 'no\\such' }])
      expect(await everything(nothing)).toEqual([]);
  }, 60_000);

  it('has shorter pages where missions are large, and all of them (L1)', async () => {
    const before = idsOf(await everything());
    await fill(50, 'x'.repeat(50_000)); // Their last output stands in the result again: 200 KB each.
    const first = await list.page(query({}));
    expect(first.data.length).toBeLessThan(40);
    expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThan(ANSWER_BYTES_MAX + 1_000);
    const all = idsOf(await everything());
    expect([all.length, new Set(all).size]).toEqual([next, next]);
    expect(all.slice(50)).toEqual(before);
  }, 60_000);

  it('reads no more states than an answer has room for, however large they are (L6)', async () => {
    const wanted = { status: 'completed', limit: 3 };
    const before = idsOf(await everything({ status: 'completed' }));
    const statesOf = async (over: object = {}) => {
      const { sql, parameters } = listStatement(query({ ...wanted, ...over }));
      const { rows } = await admin.query<{ state: object | null }>(sql, parameters);
      return rows.map(({ state }) => state !== null);
    };
    expect(await statesOf()).toEqual([true, true, true, false]);
    // The largest there is: as many tasks as a plan may have, and every output as large as is kept inline.
    const largest = `(select json_build_object('tasks', (
        select json_agg(jsonb_set(jsonb_set(state::jsonb->'tasks'->0, '{plan,task_id}', to_jsonb('t' || place)),
          '{progress,output}', jsonb_build_object('value', repeat('x', 60000))))
        from generate_series(1, 256) place))::jsonb)`;
    const ids = before.slice(0, 6);
    await admin.query(`create temp table saved as select * from ${MISSION_VIEW} where mission_id = any($1)`, [ids]);
    await admin.query(
      `update ${MISSION_VIEW} set state = (state::jsonb || ${largest})::json where mission_id = any($1)`,
      [ids],
    );
    try {
      const { rows } = await admin.query<{ bytes: number }>(
        `select min(state_bytes) as bytes from ${MISSION_VIEW} where mission_id = any($1)`,
        [ids],
      );
      expect(rows[0]?.bytes).toBeGreaterThan(15_000_000);
      expect(await statesOf()).toEqual([true, false, false, false]);
      expect(await statesOf({ limit: 200 })).toEqual([true, ...Array.from({ length: 200 }, () => false)]);
      expect(idsOf(await everything({ status: 'completed' }))).toEqual(before);
    } finally {
      await admin.query(`update ${MISSION_VIEW} m set state = s.state from saved s where s.mission_id = m.mission_id`);
    }
  }, 60_000);

  it('takes no search that would look through everything, and no cursor of another list', async () => {
    for (const search of ['', 'ab', 'a b c', 'x'.repeat(201)])
      expect(listMissions.safeParse({ search }).success).toBe(false);
    const range = { created_from: '2020-01-01T00:00:00.000Z', limit: 1 };
    const [plain, timed] = await Promise.all([list.page(query({ limit: 1 })), list.page(query(range))]);
    for (const wrong of [
      { cursor: 'nonsense' },
      { cursor: timed.next_cursor ?? '' },
      { ...range, cursor: plain.next_cursor ?? '' },
    ])
      await expect(list.page(query(wrong))).rejects.toThrow(MalformedCursor);
  });

  it('was filled by its migrations with what the projection writes', async () => {
    const digests = () =>
      Promise.all([MISSION_LIST_VIEW, MISSION_GOAL_VIEW].map((table) => readDigest(admin, table, ['mission_id'])));
    const before = await digests();
    expect(before.map(({ rows }) => rows)).toEqual([next, next]);
    await admin.query(`truncate ${MISSION_LIST_VIEW}, ${MISSION_GOAL_VIEW}`);
    for (const statement of [...FILL_FROM_STATE, FOLD_GOALS]) await admin.query(statement);
    expect(await digests()).toEqual(before);
    expect(await admin.query(FOLD_GOALS)).toMatchObject({ count: 0 });
  });
});

type PlanNode = Readonly<Record<string, unknown>> & Readonly<{ Plans?: readonly PlanNode[] }>;
const nodesOf = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];
/** A row that is joined is looked at in both tables. */
const lookedAt = (node: PlanNode): number => {
  const counts = ['Actual Rows', 'Rows Removed by Filter', 'Rows Removed by Index Recheck'];
  const each = counts.reduce((sum, name) => sum + Number(node[name] ?? 0), 0);
  return node['Relation Name'] === undefined ? 0 : each * Number(node['Actual Loops']);
};

/** Last: rows are copied until there are so many that looking at all of them shows. */
describe('a page of many thousand missions', () => {
  let rows: number;
  beforeAll(async () => {
    const copied = async (table: string) => {
      const { rows: columns } = await admin.query<{ attname: string }>(
        'select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum',
        [table],
      );
      const values = columns.map(({ attname }) => {
        if (attname === 'mission_id') return `mission_id || '-' || copy`;
        return attname === 'created_position' ? 'created_position + copy * 1000000' : attname;
      });
      await admin.query(`insert into ${table} select ${values.join(', ')} from ${table}, generate_series(1, 24) copy`);
    };
    for (const table of [MISSION_LIST_VIEW, MISSION_GOAL_VIEW]) await copied(table);
    await admin.query(`analyze ${MISSION_LIST_VIEW}, ${MISSION_GOAL_VIEW}`);
    rows = (await readDigest(admin, MISSION_LIST_VIEW, ['mission_id'])).rows;
  }, 60_000);

  const deep = Buffer.from('9000000').toString('base64url');
  const [from, before] = ['2020-01-01T00:00:00.000Z', '2098-01-01T00:00:00.000Z'];
  it.each([
    [{}, 'created_position_idx'],
    [{ cursor: deep }, 'created_position_idx'],
    [{ status: 'failed' }, 'created_position_idx'],
    [{ status: 'failed', cursor: deep }, 'created_position_idx'],
    [{ category: 'coin' }, 'created_position_idx'],
    [{ rank: 'B' }, 'created_position_idx'],
    [{ requested_by: 'operator:nobody' }, 'mission_list_view_requested_by_created_position_idx'],
    [{ template: 'none' }, 'mission_list_view_template_created_position_idx'],
    [{ effective_rank: 'S' }, 'mission_list_view_effective_rank_created_position_idx'],
    [{ needs: 'approval' }, 'created_position_idx'],
    [{ needs: 'review', cursor: deep }, 'created_position_idx'],
    [{ created_before: '2026-01-01T00:00:00.000Z' }, 'mission_list_view_created_at_created_position_idx'],
    [{ created_from: from, created_before: before }, 'mission_list_view_created_at_created_position_idx'],
    [{ tag: 'batch-7' }, 'mission_list_view_tags_idx'],
    [{ tag: 'none' }, 'mission_list_view_tags_idx'],
    [{ tag: 'batch-7', rank: 'E' }, 'mission_list_view_tags_idx'],
    [{ category: 'coin', rank: 'B' }, 'created_position_idx'],
    [{ requested_by: 'operator:lin', status: 'cancelled' }, 'created_position_idx'],
    [{ rank: 'B', effective_rank: 'C' }, 'rank_created_position_idx'],
    [{ status: 'failed', created_from: from }, 'mission_list_view_created_at_created_position_idx'],
    [{ search: 'nowhere' }, 'mission_goal_view_goal_idx'],
    [{ search: 'round' }, 'mission_goal_view_created_position_idx'],
    [{ search: 'survey verify' }, 'mission_goal_view_goal_idx'],
    [{ search: 'round', cursor: deep }, 'mission_goal_view_created_position_idx'],
    [{ search: 'nowhere', status: 'completed' }, 'mission_goal_view_goal_idx'],
    [{ search: 'round', status: 'running' }, 'mission_list_view_status_created_position_idx'],
    [{ search: 'round', created_from: from }, 'mission_list_view_created_at_created_position_idx'],
    [{ search: 'nowhere', created_from: from, tag: 'batch-7' }, 'mission_goal_view_goal_idx'],
  ])('goes by an index for %j, and looks at few (L1, L5)', async (wanted, index) => {
    const { sql, parameters } = pageStatement(query({ ...wanted, limit: 50 }));
    const found = await admin.query<{ 'QUERY PLAN': readonly [{ Plan: PlanNode }] }>(
      `explain (analyze, timing off, format json) ${sql}`,
      parameters,
    );
    const nodes = nodesOf(found.rows[0]?.['QUERY PLAN'][0].Plan ?? {}).filter((node) => node['Actual Loops'] !== 0);
    const indexes = nodes.map((node) => node['Index Name']).filter((name) => typeof name === 'string');
    expect(indexes.join('\n')).toContain(index);
    expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    expect(nodes.reduce((sum, node) => sum + lookedAt(node), 0)).toBeLessThan(rows / 3);
  });

  it('has a range in the order of its times, wherever in the log they lie (L4)', async () => {
    const { sql, parameters } = pageStatement(query({ created_from: from, limit: 200 }));
    const { rows: page } = await admin.query<{ created_at: string; created_position: string }>(sql, parameters);
    const keys = page.map(({ created_at, created_position }) => `${created_at} ${created_position.padStart(12, '0')}`);
    expect(keys).toEqual(keys.toSorted().toReversed());
    const positions = page.map(({ created_position }) => Number(created_position));
    expect(positions).not.toEqual(positions.toSorted((a, b) => b - a));
  });
});
