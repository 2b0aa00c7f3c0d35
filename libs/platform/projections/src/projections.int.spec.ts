import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { decodePosition, encodePosition, joinPositions, newId, type PositionVector } from '@nexusmon/event-log';
import { jetstreamManager, jetstream, RetentionPolicy } from '@nats-io/jetstream';
import { silentLogger } from '@nexusmon/telemetry';
import { other, add, Rig, tally, tallyProjection, type Derivation } from './derived.fixture.js';
import { digestTable } from './digest.js';
import type { FeedCommit } from './feed-commit.js';
import { LogReader } from './log-reader.js';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
}, 60_000);
afterAll(() => rig.stop());

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await pause(10);
};

const totals = async ({ database }: Derivation, ids: readonly string[], table = 'mission.tally_view') => {
  const { rows } = await database.query(`select tally_id, total from ${table} where tally_id = any($1)`, [ids]);
  return Object.fromEntries(rows.map((row) => [String(row['tally_id']), Number(row['total'])]));
};

const folded = async (ids: readonly string[]) =>
  Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, (await rig.writer.load(tally, id)).state.total] as const)),
  );

const newIds = (count: number): string[] => Array.from({ length: count }, () => newId('tly'));

/** Adds to each id in turn, `each` times, all ids at once; returns the position after all of them. */
const addMany = async (ids: readonly string[], each: number): Promise<string> => {
  const key_id = await rig.key();
  const positions = await Promise.all(
    ids.map(async (id) => {
      let position = '';
      for (let turn = 0; turn < each; turn += 1) position = await rig.add(id, key_id, turn + 1, `note ${turn}`);
      return position;
    }),
  );
  const vectors = positions.map((position) => decodePosition(position));
  const known = vectors.filter((vector): vector is PositionVector => vector !== undefined);
  return encodePosition(known.reduce(joinPositions, new Map()));
};

describe('a projection', () => {
  it('holds what the log says, and the same when it is folded again', async () => {
    const first = await rig.derivation();
    first.projections.addProjection(tallyProjection(), first.database);
    await first.projections.join();
    first.projections.start();
    const ids = newIds(40);
    await addMany(ids, 5);
    await until(() => first.projections.caughtUp() && first.projections.health()['mission.tally']?.lag === 0);
    await until(async () => Object.keys(await totals(first, ids)).length === ids.length);
    const again = await rig.derivation();
    again.projections.addProjection(tallyProjection('mission.again', 'mission.tally_again_view'), again.database);
    await again.projections.join();
    again.projections.start();
    const position = first.projections.checkpointPosition('mission.tally');
    expect(await again.projections.waitFor('mission.again', position)).toBe(true);
    expect(await first.projections.waitFor('mission.tally', position)).toBe(true);
    expect(await totals(first, ids)).toEqual(await folded(ids));
    const digests = await Promise.all(
      ['mission.tally_view', 'mission.tally_again_view'].map((table) =>
        digestTable(first.database, table, ['tally_id']),
      ),
    );
    expect(digests[0]).toBe(digests[1]);
    await Promise.all([first.close(), again.close()]);
  });

  it('loses and doubles nothing while PostgreSQL is killed (J1)', async () => {
    const derivation = await rig.derivation();
    derivation.projections.addProjection(tallyProjection(), derivation.database);
    await derivation.projections.join();
    derivation.projections.start();
    const ids = newIds(20);
    const adding = addMany(ids, 30);
    for (let round = 0; round < 3; round += 1) {
      await pause(150);
      await rig.kill('postgres');
    }
    const position = await adding;
    expect(await derivation.projections.waitFor('mission.tally', position, 30_000)).toBe(true);
    expect(await totals(derivation, ids)).toEqual(await folded(ids));
    await derivation.close();
  }, 90_000);

  it('loses and doubles nothing while NATS is killed (R2)', async () => {
    const derivation = await rig.derivation();
    derivation.projections.addProjection(tallyProjection(), derivation.database);
    const seen: FeedCommit[] = [];
    await derivation.projections.join();
    const abort = new AbortController();
    const tail = derivation.feed.tail('now', abort.signal);
    const following = (async () => {
      for await (const commit of tail ?? []) seen.push(commit);
    })();
    derivation.projections.start();
    const ids = newIds(20);
    const adding = addMany(ids, 30);
    for (let round = 0; round < 3; round += 1) {
      await pause(150);
      await rig.kill('nats');
    }
    const position = await adding;
    expect(await derivation.projections.waitFor('mission.tally', position, 30_000)).toBe(true);
    expect(await totals(derivation, ids)).toEqual(await folded(ids));
    const last = await folded(ids);
    await until(() => seen.at(-1)?.sequence === derivation.feed.dispatchedOf(0));
    abort.abort();
    await following;
    expect(Object.keys(last)).toHaveLength(20);
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => (seen[0]?.sequence ?? 0) + index));
    await derivation.close();
  }, 90_000);

  it('is moved by one process at a time (J2)', async () => {
    const both = await Promise.all([rig.derivation(), rig.derivation()]);
    for (const { projections, database } of both) {
      projections.addProjection(tallyProjection(), database);
      await projections.join();
      projections.start();
    }
    const ids = newIds(20);
    const position = await addMany(ids, 20);
    for (const { projections } of both) expect(await projections.waitFor('mission.tally', position, 20_000)).toBe(true);
    const [one] = both;
    expect(await totals(one, ids)).toEqual(await folded(ids));
    expect(both.map(({ projections }) => projections.health()['mission.tally']?.halted)).toEqual([
      undefined,
      undefined,
    ]);
    await Promise.all(both.map(({ close }) => close()));
  }, 60_000);

  it('halts alone at what it does not know, and goes on serving (J3)', async () => {
    const derivation = await rig.derivation();
    const { projections, database } = derivation;
    projections.addProjection(tallyProjection(), database);
    const unknown = { context: 'mission', name: 'other', events: {} };
    const on = () => undefined;
    projections.addProjection(
      { name: 'mission.other', context: 'mission', reads: [unknown], tables: [], on },
      database,
    );
    await projections.join();
    projections.start();
    await rig.writer.execute(other, newId('tly'), add(1, 'x'), { key_id: await rig.key() });
    const ids = newIds(1);
    const position = await addMany(ids, 2);
    expect(await projections.waitFor('mission.tally', position)).toBe(true);
    await until(() => projections.health()['mission.other']?.halted !== undefined);
    expect(projections.health()['mission.other']?.halted).toMatch(/nexusmon.mission.Added.v1/);
    expect(projections.health()['mission.tally']?.halted).toBeUndefined();
    expect(await projections.waitFor('mission.other', position, 50)).toBe(false);
    await derivation.close();
  });

  it.each([
    ["hash = 'f00'", /is not the one that its checkpoint has seen/],
    ["incarnation = '000000000000'", /of another NEXUSMON_EVENTS_0/],
    ['sequence = 1000000', /has no message 1000000/],
  ])('does not go on from a checkpoint that the log contradicts: %s (J5)', async (change, reason) => {
    const derivation = await rig.derivation();
    const { projections, database, feed } = derivation;
    const name = `mission.${newId('x').slice(-6)}`;
    await addMany(newIds(1), 1);
    await database.query(`insert into mission.checkpoint values ($1, 0, $2, 1, '')`, [
      name,
      feed.identities()[0]?.incarnation,
    ]);
    await database.query(`update mission.checkpoint set ${change} where name = $1`, [name]);
    projections.addProjection(tallyProjection(name, 'mission.tally_again_view'), database);
    const checkpoints = await projections.join();
    projections.start();
    expect(projections.health()[name]?.halted).toMatch(reason);
    expect(checkpoints.map((found) => found.name)).toEqual([name]);
    await derivation.close();
  });
});

describe('a follower', () => {
  it('that takes late reads on by itself and misses nothing (F3)', async () => {
    const derivation = await rig.derivation();
    const { feed } = derivation;
    feed.know([tally]);
    feed.start();
    const late = feed.follow(new Map(), { patient: false });
    await addMany(newIds(60), 30);
    const info = await rig.writer.load(tally, newId('tly'));
    expect(info.revision).toBe(0);
    const seen: number[] = [];
    const position = await addMany(newIds(1), 1);
    const target = Number(position.split('.')[2]);
    while ((seen.at(-1) ?? 0) < target) seen.push(...(await late.take(100)).map(({ sequence }) => sequence));
    expect(seen).toEqual(Array.from({ length: target }, (_, index) => index + 1));
    const next = late.take(10);
    await addMany(newIds(1), 1);
    expect((await next).map(({ sequence }) => sequence)).toEqual([target + 1]);
    await derivation.close();
  }, 60_000);

  it('begins where it is asked to, in this log only', async () => {
    const derivation = await rig.derivation();
    const { feed } = derivation;
    feed.start();
    const abort = new AbortController();
    const position = await addMany(newIds(1), 3);
    const [stream, incarnation, sequence] = position.split('.');
    const firstOf = async (from: string) => (await feed.tail(from, abort.signal)?.next())?.value?.sequence;
    expect(await firstOf('start')).toBe(1);
    expect(await firstOf(`${stream}.${incarnation}.${Number(sequence) - 1}.0`)).toBe(Number(sequence));
    expect(feed.tail(`${stream}.000000000000.1.0`, abort.signal)).toBeUndefined();
    expect(feed.tail('nonsense', abort.signal)).toBeUndefined();
    abort.abort();
    await derivation.close();
  });

  it('opens text that the log holds sealed', async () => {
    const derivation = await rig.derivation();
    derivation.feed.know([tally]);
    derivation.feed.start();
    const [id = ''] = newIds(1);
    const position = await addMany([id], 1);
    const [, , sequence] = position.split('.');
    const commit = await derivation.feed.at(0, Number(sequence));
    expect(JSON.stringify(commit?.stored)).not.toContain('note 0');
    expect((await commit?.events())?.[0]?.data).toEqual({ by: 1, note: 'note 0' });
    await derivation.close();
  });
});

describe('a reader of the log', () => {
  it('halts at a hole (R1)', async () => {
    const admin = await rig.nats('admin');
    const manager = await jetstreamManager(admin);
    await manager.streams.add({ name: 'NEXUSMON_EVENTS_7', subjects: ['holes.>'], retention: RetentionPolicy.Limits });
    const client = jetstream(admin);
    for (let count = 0; count < 5; count += 1) await client.publish('holes.a', `${count}`);
    await manager.streams.deleteMessage('NEXUSMON_EVENTS_7', 3);
    const reader = new LogReader(client, manager, silentLogger());
    const seen: number[] = [];
    const reading = async () => {
      const standing = await reader.standing(7);
      for await (const { seq } of reader.read(standing, 1, new AbortController().signal)) seen.push(seq);
    };
    await expect(reading()).rejects.toThrow('NEXUSMON_EVENTS_7 has no message 3: after 2 came 4');
    expect(seen).toEqual([1, 2]);
    const beyond = reader.read(await reader.standing(7), 9, new AbortController().signal).next();
    await expect(beyond).rejects.toThrow('ends at 5, and 8 was already read');
    await admin.close();
  });
});

describe('a reactor', () => {
  it('is given every event until it has succeeded, in order within an aggregate (A1, A2)', async () => {
    const ids = newIds(3);
    const seen: string[] = [];
    let failures = 0;
    const reactor = (work: (note: string, id: string) => void) => ({
      name: 'mission.listener',
      context: 'mission',
      reads: [tally],
      events: ['Added'],
      after: ['mission.tally'],
      react: async (event: { data: Record<string, unknown> }, { id }: FeedCommit) => {
        if (ids.includes(id)) work(String(event.data['note']), id);
      },
    });
    const first = await rig.derivation();
    first.projections.addProjection(tallyProjection(), first.database);
    first.projections.addReactor(
      reactor((note, id) => {
        if (id === ids[0]) throw new Error(`not yet (${(failures += 1)})`);
        seen.push(`${id} ${note}`);
      }),
      first.database,
    );
    await first.projections.join();
    first.projections.start();
    await addMany(ids, 3);
    const [, ...others] = ids;
    const expected = (id: string) => ['note 0', 'note 1', 'note 2'].map((note) => `${id} ${note}`);
    await until(() => seen.length === 6 && failures > 1);
    for (const id of others) expect(seen.filter((line) => line.startsWith(id))).toEqual(expected(id));
    await first.close();

    seen.length = 0;
    const second = await rig.derivation();
    second.projections.addProjection(tallyProjection(), second.database);
    second.projections.addReactor(
      reactor((note, id) => seen.push(`${id} ${note}`)),
      second.database,
    );
    await second.projections.join();
    second.projections.start();
    await until(() => seen.filter((line) => line.startsWith(ids[0] ?? '')).length === 3);
    expect(seen.filter((line) => line.startsWith(ids[0] ?? ''))).toEqual(expected(ids[0] ?? ''));
    await second.close();
  }, 60_000);
});

describe('a reactor after a projection', () => {
  it('leaves it its pace: nobody waits for a reactor', async () => {
    const derivation = await rig.derivation();
    const projection = tallyProjection();
    let batches = 0;
    const counted: typeof projection = {
      ...projection,
      on: (commits, store) => {
        batches += 1;
        return projection.on(commits, store);
      },
    };
    let reactions = 0;
    derivation.projections.addProjection(counted, derivation.database);
    derivation.projections.addReactor(
      {
        ...{ name: 'mission.unhurried', context: 'mission', reads: [tally], after: ['mission.tally'] },
        react: () => Promise.resolve(void (reactions += 1)),
      },
      derivation.database,
    );
    await derivation.projections.join();
    derivation.projections.start();
    await until(() => derivation.projections.caughtUp());
    const [id = '', key_id] = [newIds(1)[0], await rig.key()];
    [batches, reactions] = [0, 0];
    const began_ms = performance.now();
    for (let turn = 0; turn < 20; turn += 1) {
      await rig.add(id, key_id, 1);
      await pause(20);
    }
    await until(() => reactions >= 20);
    expect(batches).toBeLessThanOrEqual((performance.now() - began_ms) / 100 + 2);
    await derivation.close();
  }, 30_000);
});

describe('a clock', () => {
  it('fires what is due, retries what failed and leaves the rest (C1)', async () => {
    const derivation = await rig.derivation();
    const { projections, database } = derivation;
    const past = '2026-01-01T00:00:00.000Z';
    await database.query(
      `insert into mission.due_view values ('a', $1), ('b', $1), ('c', '2999-01-01T00:00:00.000Z'), ('d', null)`,
      [past],
    );
    const fired: string[] = [];
    projections.addClock(
      {
        name: 'mission.due',
        table: 'mission.due_view',
        id_column: 'id',
        due: async (id) => {
          fired.push(id);
          if (fired.filter((one) => one === id).length === 1 && id === 'b') throw new Error('not yet');
          await database.query('update mission.due_view set next_due_at = null where id = $1', [id]);
        },
      },
      database,
    );
    await projections.join();
    projections.start();
    await until(() => fired.length >= 3);
    expect(fired.toSorted()).toEqual(['a', 'b', 'b']);
    await derivation.close();
  });
});
