import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { newId } from '@nexusmon/event-log';
import { silentLogger } from '@nexusmon/telemetry';
import type { Database } from './database.js';
import { Rig, tally, tallyProjection, type Derivation } from './derived.fixture.js';
import type { Projection } from './projection.js';
import type { RebuildDocument } from './rebuild.document.js';
import { Rebuild, type RebuildOptions } from './rebuild.js';

const NAME = 'mission.tally';
const TABLE = 'mission.tally_view';

let rig: Rig;
let key_id: string;
const ids = Array.from({ length: 30 }, () => newId('tly'));
beforeAll(async () => {
  rig = await Rig.start();
  key_id = await rig.key();
  await Promise.all(ids.map((id) => add(id, 10)));
}, 60_000);
afterAll(() => rig.stop());

const add = async (id: string, times: number): Promise<string> => {
  let position = '';
  for (let turn = 1; turn <= times; turn += 1) position = await rig.add(id, key_id, turn, `note ${turn}`);
  return position;
};

const open: Derivation[] = [];
const derive = async (): Promise<Derivation> => {
  const derivation = await rig.derivation();
  open.push(derivation);
  derivation.projections.addProjection(tallyProjection(), derivation.database);
  await derivation.projections.join();
  derivation.projections.start();
  while (!derivation.projections.caughtUp()) await pause(10);
  return derivation;
};

let derivation: Derivation;
beforeEach(async () => {
  derivation = await derive();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ close }) => close()));
});

const lastOf = async ({ projections }: Derivation): Promise<RebuildDocument | undefined> =>
  (await projections.documents('mission', NAME))[0]?.rebuild;

const rebuilt = async (one: Derivation, check = false): Promise<RebuildDocument> => {
  const begun = await one.projections.rebuild(NAME, check);
  if (begun === undefined || begun === 'running') throw new Error(`no rebuild: ${begun}`);
  return ended(one);
};

const entered = async (options: RebuildOptions) => {
  const started = await new Rebuild(options).start();
  if (!started) throw new Error('it was not entered');
  return started;
};

const ended = async (one: Derivation): Promise<RebuildDocument> => {
  for (;;) {
    const document = await lastOf(one);
    if (document && document.status !== 'running') return document;
    await pause(20);
  }
};

const totals = async ({ database }: Derivation) => {
  const { rows } = await database.query(`select tally_id, total from ${TABLE} where tally_id = any($1)`, [ids]);
  return Object.fromEntries(rows.map((row) => [String(row['tally_id']), Number(row['total'])]));
};
const folded = async () =>
  Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, (await rig.writer.load(tally, id)).state.total] as const)),
  );
const damage = ({ database }: Derivation) =>
  database.query(`update ${TABLE} set state = jsonb_set(state, '{total}', to_jsonb(total + 1000))`);
const leftovers = async ({ database }: Derivation) => {
  const { rows } = await database.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('mission_shadow', 'mission_old') and c.relkind = 'r'`,
  );
  return rows.map(({ name }) => name);
};

describe('a rebuild', () => {
  it('ends with the same digest at one position and swaps while all goes on (B1, B2)', async () => {
    const { projections, database } = derivation;
    let going = true;
    const adding = Promise.all(
      ids.slice(0, 8).map(async (id) => {
        while (going) {
          const position = await add(id, 1);
          expect(await projections.waitFor(NAME, position)).toBe(true);
        }
      }),
    );
    let slowest = 0;
    const reading = (async () => {
      while (going) {
        const began = performance.now();
        const { rows } = await database.query(`select tally_id from ${TABLE} where tally_id = any($1)`, [ids]);
        slowest = Math.max(slowest, performance.now() - began);
        expect(rows).toHaveLength(ids.length);
        await pause(1);
      }
    })();
    const document = await rebuilt(derivation);
    going = false;
    await Promise.all([adding, reading]);
    expect(document).toMatchObject({ status: 'equal', swapped: true, percent: 100, check: false });
    expect(document.live_digest).toMatch(/^[0-9a-f]{64}$/);
    expect(document.rebuilt_digest).toBe(document.live_digest);
    expect(document.events).toBeGreaterThanOrEqual(300);
    expect(slowest).toBeLessThan(1_000);
    const position = await add(ids[0] ?? '', 1);
    expect(await projections.waitFor(NAME, position)).toBe(true);
    expect(await totals(derivation)).toEqual(await folded());
    expect(await leftovers(derivation)).toEqual([]);
    expect(await rebuilt(derivation, true)).toMatchObject({ status: 'equal', swapped: false });
  }, 60_000);

  it('tells a difference, and puts what the log says in force, for every process (B4, B5)', async () => {
    await damage(derivation);
    // Begun after the damage, so that damaged rows are what they have at hand.
    const [one, other] = [await derive(), await derive()];
    await derivation.close();
    derivation = one;
    const everyAdd = async () => {
      const positions = await Promise.all(ids.map((id) => add(id, 1)));
      for (const { projections } of [one, other])
        for (const position of positions) expect(await projections.waitFor(NAME, position)).toBe(true);
    };
    await everyAdd();
    expect(await rebuilt(derivation, true)).toMatchObject({ status: 'different', swapped: false });
    expect(await totals(derivation)).not.toEqual(await folded());
    const document = await rebuilt(derivation);
    expect(document).toMatchObject({ status: 'different', swapped: true });
    expect(document.rebuilt_digest).not.toBe(document.live_digest);
    expect(await leftovers(derivation)).toEqual(['mission_old.tally_view']);
    await everyAdd();
    expect(await totals(derivation)).toEqual(await folded());
    expect(await rebuilt(other)).toMatchObject({ status: 'equal', swapped: true });
    expect(await leftovers(other)).toEqual([]);
  }, 60_000);

  it('leaves the one in force when it ends before its time (B1)', async () => {
    const before = await totals(derivation);
    await derivation.projections.rebuild(NAME, false);
    await derivation.close();
    open.length = 0;
    const next = await derive();
    expect(await lastOf(next)).toMatchObject({ status: 'failed', swapped: false });
    expect(await totals(next)).toEqual(before);
    expect(await rebuilt(next)).toMatchObject({ status: 'equal', swapped: true });
    expect(await leftovers(next)).toEqual([]);
  }, 60_000);

  const FOLDED = ['has folded all there is', (): Promise<void> => Promise.resolve()] as const;
  const BEGUN = 'another rebuild of mission.tally has begun';
  it.each([
    ['fails', (): Promise<void> => Promise.reject(new Error('a drill')), 'a drill', newId('rbd')],
    [...FOLDED, BEGUN, newId('rbd')],
    // The same request again, while the first process was held up for long.
    [`${FOLDED[0]} under the same id`, FOLDED[1], BEGUN, undefined],
  ] as const)(
    'lets the tables of a later one be when it %s (B5)',
    async (_, end, reason, other_id) => {
      const { database, feed } = derivation;
      const rebuild_id = newId('rbd');
      const begin = (projection: Projection, id: string) =>
        entered({ projection, database, feed, log: silentLogger(), check: false, rebuild_id: id });
      const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      // Writes nothing, which would have told it that it was overtaken.
      const overtaken = await begin({ ...tallyProjection(), on: () => first.promise }, rebuild_id);
      // What an end says to others is what silence says; but it does not tell itself heard of in between.
      await database.query(`update mission.rebuild set document = document || '{"status": "failed"}'`);
      const { on, ...rest } = tallyProjection();
      const later = await begin(
        { ...rest, on: (commits, store) => second.promise.then(() => on(commits, store)) },
        other_id ?? rebuild_id,
      );
      end().then(first.resolve, first.reject);
      expect(await overtaken.ended).toMatchObject({ status: 'failed', swapped: false, reason });
      second.resolve();
      expect(await later.ended).toMatchObject({ status: 'equal', swapped: true });
      expect(await leftovers(derivation)).toEqual([]);
      await derivation.close();
      open.length = 0;
      derivation = await derive();
      expect(await totals(derivation)).toEqual(await folded());
    },
    60_000,
  );

  it('is known to run from its beginning, however long ago the last one was', async () => {
    const { database, feed } = derivation;
    await rebuilt(derivation, true);
    await database.query(`update mission.rebuild set told_at = now() - interval '1 hour'`);
    const heard = Promise.withResolvers<void>();
    const late = Object.assign(Object.create(database) as Database, {
      query: (...asked: Parameters<Database['query']>) => heard.promise.then(() => database.query(...asked)),
    });
    const options = { projection: tallyProjection(), database: late, feed, log: silentLogger(), check: true };
    const started = await entered(options);
    expect(await lastOf(derivation)).toMatchObject({ status: 'running' });
    heard.resolve();
    expect(await started.ended).toMatchObject({ status: 'equal' });
  }, 60_000);

  it('is begun once by two processes that are asked for the same one at the same time (B6)', async () => {
    const other = await derive();
    const rebuild_id = newId('rbd');
    const ask = ({ projections }: Derivation) => projections.rebuild(NAME, false, rebuild_id);
    // Neither finds one that has begun: what they look up first they both look up before either goes on.
    const answers = await Promise.all([derivation, other].map(ask));
    for (const answer of answers) expect(answer).toMatchObject({ rebuild: { rebuild_id } });
    const begun = answers.map((answer) => (typeof answer === 'object' ? answer.rebuild?.started_at : undefined));
    expect(begun[0]).toBe(begun[1]);
    expect(await ended(derivation)).toMatchObject({ rebuild_id, status: 'equal', swapped: true });
    expect(await leftovers(derivation)).toEqual([]);
    expect(await totals(derivation)).toEqual(await folded());
    for (const one of [derivation, other])
      expect(await ask(one)).toMatchObject({ rebuild: { rebuild_id, status: 'equal', started_at: begun[0] } });
  }, 60_000);

  it('is begun again by whoever asks for one that has failed, and by nobody once it has not (B6)', async () => {
    const rebuild_id = newId('rbd');
    const ask = ({ projections }: Derivation, check = false) => projections.rebuild(NAME, check, rebuild_id);
    await ask(derivation);
    await derivation.close();
    open.length = 0;
    const next = await derive();
    expect(await lastOf(next)).toMatchObject({ rebuild_id, status: 'failed' });
    expect(await ask(next, true)).toBe('reused');
    expect(await ask(next)).toMatchObject({ rebuild: { rebuild_id, status: 'running' } });
    expect(await ended(next)).toMatchObject({ rebuild_id, status: 'equal', swapped: true });
    // Long ago, it has failed and then not: the later end is what is known of it.
    expect(await rebuilt(next, true)).toMatchObject({ status: 'equal' });
    expect(await ask(next)).toMatchObject({ rebuild: { rebuild_id, status: 'equal', swapped: true } });
    expect((await lastOf(next))?.rebuild_id).not.toBe(rebuild_id);
  }, 60_000);

  it('survives PostgreSQL being killed under it: what is in force stays right (B1)', async () => {
    await derivation.projections.rebuild(NAME, false);
    await rig.kill('postgres');
    const position = await add(ids[0] ?? '', 1);
    expect(await derivation.projections.waitFor(NAME, position, 30_000)).toBe(true);
    while ((await derivation.projections.rebuild(NAME, false)) === 'running') await pause(100);
    while ((await lastOf(derivation))?.status === 'running') await pause(20);
    expect(await lastOf(derivation)).toMatchObject({ status: 'equal', swapped: true });
    expect(await totals(derivation)).toEqual(await folded());
  }, 90_000);

  it('does not wait for what it has PostgreSQL hash when it ends before its time', async () => {
    const { database, feed } = derivation;
    const hashing = Promise.withResolvers<void>();
    const slowly: Database['transaction'] = (work) =>
      database.transaction((sql) =>
        work({
          query: (text, parameters) => {
            if (!text.includes('string_agg')) return sql.query(text, parameters);
            hashing.resolve();
            return sql.query('select pg_sleep(60)');
          },
        }),
      );
    const beside: Database['beside'] = async (options) =>
      Object.assign(Object.create(await database.beside(options)) as Database, { transaction: slowly });
    const slow = Object.assign(Object.create(database) as Database, { beside });
    const options = { projection: tallyProjection(), database: slow, feed, log: silentLogger(), check: true };
    const rebuild = new Rebuild(options);
    const started = await rebuild.start();
    await hashing.promise;
    rebuild.abort();
    expect(await started?.ended).toMatchObject({ status: 'failed', swapped: false });
    expect(await rebuilt(derivation)).toMatchObject({ status: 'equal', swapped: true });
    expect(await leftovers(derivation)).toEqual([]);
  }, 15_000);

  it('puts a halted projection to work again', async () => {
    await derivation.close();
    open.length = 0;
    const next = await rig.derivation();
    open.push(next);
    await next.database.query(`update mission.checkpoint set hash = 'f00' where name = $1`, [NAME]);
    next.projections.addProjection(tallyProjection(), next.database);
    await next.projections.join();
    next.projections.start();
    expect(next.projections.health()[NAME]?.halted).toMatch(/is not the one/);
    const document = await rebuilt(next);
    expect(document).toMatchObject({ status: 'replaced', swapped: true });
    expect(document.reason).toMatch(/is not the one/);
    while (next.projections.health()[NAME]?.halted !== undefined) await pause(10);
    const position = await add(ids[0] ?? '', 1);
    expect(await next.projections.waitFor(NAME, position)).toBe(true);
    expect(await totals(next)).toEqual(await folded());
  }, 60_000);

  it('keeps keys, indexes, statistics, storage and their names (H2), and touches derived tables of its own schema only (H1)', async () => {
    const { database } = derivation;
    const shape = async () => {
      const { rows } = await database.query(
        `select pg_get_indexdef(i.indexrelid) as index, c.reloptions, k.conname
         from pg_class c join pg_index i on i.indrelid = c.oid left join pg_constraint k on k.conindid = i.indexrelid
         where c.oid = '${TABLE}'::regclass order by 1`,
      );
      const { rows: statistics } = await database.query(
        `select stxnamespace::regnamespace::text as schema, stxname, pg_get_statisticsobjdef(oid) as definition
         from pg_statistic_ext where stxrelid = '${TABLE}'::regclass`,
      );
      expect(statistics).toHaveLength(1);
      return [...rows, ...statistics];
    };
    const before = await shape();
    expect(before.length).toBeGreaterThan(1);
    expect(await rebuilt(derivation)).toMatchObject({ swapped: true });
    expect(await shape()).toEqual(before);
    for (const name of ['checkpoint', 'absent_view', 'rebuild', 'migration', 'tally_view; drop'])
      for (const does of ['begin', 'index', 'swap', 'drop'])
        await expect(database.query(`select mission.shadow_${does}($1)`, [[name]])).rejects.toThrow(
          'is not a derived table',
        );
  }, 60_000);
});
