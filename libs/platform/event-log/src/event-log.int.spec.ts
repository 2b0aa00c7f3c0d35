import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { canonical, sha256Hex } from './canonical.js';
import { Catalogues, decodeCommit, StoredCommit } from './commit.js';
import { CommitTooLarge, EventInvalid } from './errors.js';
import { EventStream } from './event-stream.js';
import { eventId, keyedId, newId } from './ids.js';
import type { Identified, Proposed } from './aggregate.js';
import type { Keyring } from '@nexusmon/keys';
import {
  add,
  allCommits,
  createStream,
  fill,
  keyringInMemory,
  limit,
  NatsServer,
  openLog,
  tally,
  type Opened,
  type Tally,
  type TallyCommand,
} from './log.fixture.js';
import { streamName, subjectOf } from './names.js';
import { decodePosition } from './position.js';

let server: NatsServer;
let keyring: Keyring;
let a: Opened;
let b: Opened;

beforeAll(async () => {
  server = await NatsServer.start();
  await createStream(server);
  keyring = keyringInMemory();
  a = await openLog(server, { keyring });
  b = await openLog(server, { keyring });
  expect(await a.log.start()).toEqual({ writable: true });
  expect(await b.log.start()).toEqual({ writable: true });
}, 30_000);
afterAll(async () => {
  await Promise.all([a.close(), b.close()]);
  await server.stop();
});

const lastOf = async (id: string): Promise<StoredCommit> => {
  const stream = new EventStream(a.mux, 0, streamName(0));
  const message = await stream.last(subjectOf('mission', 'tally', id));
  if (!message) throw new Error(`nothing on ${id}`);
  return new StoredCommit(message);
};

describe('a command', () => {
  it('is answered from its decision, with its position', async () => {
    const id = newId('tly');
    const outcome = await a.log.execute(tally, id, add(3));
    expect(outcome).toMatchObject({ kind: 'accepted', state: { total: 3 }, revision: 1 });
    const loaded = await b.log.load(tally, id);
    expect(loaded).toEqual({ state: outcome.state, revision: 1, key_id: undefined, position: outcome.position });
    expect(decodePosition(outcome.position)?.get(0)?.index).toBe(0);
  });

  it('needs no read for an id that has just been made, and survives the wrong guess', async () => {
    const id = newId('tly');
    expect(await a.log.execute(tally, id, add(3), { is_new: true })).toMatchObject({ state: { total: 3 } });
    expect(await b.log.execute(tally, id, add(4), { is_new: true })).toMatchObject({ state: { total: 7 } });
  });

  it('is done once however often it is sent, and to whichever process', async () => {
    const id = newId('tly');
    const command = add(2, { command_id: keyedId('cmd', id), request_digest: 'a'.repeat(64) });
    expect((await a.log.execute(tally, id, command)).kind).toBe('accepted');
    expect((await a.log.execute(tally, id, command)).kind).toBe('nothing');
    expect((await b.log.execute(tally, id, command)).kind).toBe('nothing');
    expect(await b.log.knows(tally, id, command.command_id)).toBe(true);
    expect(await b.log.knows(tally, id, newId('cmd'))).toBe(false);
  });

  it('is done once also when its repeat comes in the same moment', async () => {
    const id = newId('tly');
    const command = add(2);
    const kinds = (await Promise.all([1, 2, 3].map(() => a.log.execute(tally, id, command)))).map(({ kind }) => kind);
    expect(kinds).toEqual(['accepted', 'nothing', 'nothing']);
  });

  it('is refused when its id was used for another request', async () => {
    const id = newId('tly');
    const command = add(2, { command_id: keyedId('cmd', id), request_digest: 'a'.repeat(64) });
    await a.log.execute(tally, id, command);
    for (const { log } of [a, b])
      expect(await log.execute(tally, id, { ...command, request_digest: 'b'.repeat(64) })).toMatchObject({
        kind: 'rejected',
        rejection: { code: 'idempotency-key-reused' },
        state: { total: 2 },
      });
  });

  it('is rejected as a value, on what is true now and not on what was cached (L2)', async () => {
    const id = newId('tly');
    await a.log.execute(tally, id, add(5));
    await b.log.execute(tally, id, add(5));
    expect(await a.log.execute(tally, id, limit(7))).toMatchObject({
      kind: 'rejected',
      rejection: { code: 'too-much' },
      state: { total: 10 },
    });
    expect((await a.log.execute(tally, id, limit(20))).kind).toBe('nothing');
  });

  it('cannot be larger than a commit, and takes no neighbour with it (L4)', async () => {
    const id = newId('tly');
    const [large, small] = await Promise.allSettled([
      a.log.execute(tally, id, fill(300_000)),
      a.log.execute(tally, id, add(1)),
    ]);
    expect(large.status === 'rejected' && large.reason).toBeInstanceOf(CommitTooLarge);
    expect(small).toMatchObject({ status: 'fulfilled', value: { state: { total: 1, ballast: '' } } });
  });

  it('waits for the next commit when it does not fit beside the others', async () => {
    const id = newId('tly');
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => a.log.execute(tally, id, fill(100_000))));
    expect(outcomes.map(({ revision }) => revision)).toEqual([1, 1, 2, 2, 3]);
  });

  it('cannot write text that no store keeps, nor data that its contract does not allow', async () => {
    const id = newId('tly');
    for (const data of [{ note: 'a\u0000b' }, { note: 'a\ud800b' }])
      await expect(a.log.execute(tally, id, add(1, {}, data), { key_id: await keyring.take() })).rejects.toThrow(
        'cannot be kept',
      );
    await expect(a.log.execute(tally, id, add(Number.NaN))).rejects.toThrow(EventInvalid);
    expect((await a.log.load(tally, id)).revision).toBe(0);
  });

  it('bears an id of ours', async () => {
    await expect(a.log.execute(tally, newId('tly'), add(1, { command_id: 'x' }))).rejects.toThrow();
    await expect(a.log.execute(tally, 'a.b', add(1))).rejects.toThrow(RangeError);
  });

  it('is stamped with the later of now and the time of what was last said', async () => {
    const id = newId('tly');
    const early = await openLog(server, { keyring, now_ms: () => Date.UTC(2001, 0, 1) });
    await early.log.start();
    const first = await a.log.execute(tally, id, add(1));
    const second = await early.log.execute(tally, id, add(1));
    await early.close();
    const times = [first, second].map((outcome) => outcome.kind === 'accepted' && outcome.events[0]?.time);
    expect(times[1]).toBe(times[0]);
  });
});

describe('a commit', () => {
  it('holds many queued commands (L1)', async () => {
    const id = newId('tly');
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => a.log.execute(tally, id, add(1))));
    expect(outcomes.every(({ kind }) => kind === 'accepted')).toBe(true);
    const { state, revision } = await a.log.load(tally, id);
    expect(state.total).toBe(100);
    expect(revision).toBeLessThanOrEqual(4);
  });

  it('has the form that is for ever', async () => {
    const id = newId('tly');
    const command = add(1, { request_digest: 'a'.repeat(64), traceparent: '00-aa-bb-01' }, { events: 2 });
    await a.log.execute(tally, id, command);
    const first = await lastOf(id);
    await a.log.execute(tally, id, add(1));
    const second = await lastOf(id);

    expect(first.subject).toMatch(/^evt\.[0-6][0-9]\.mission\.tally\.tly_/);
    const text = Buffer.from(first.raw).toString();
    expect(canonical(JSON.parse(text))).toBe(text);
    expect(first.stored).toEqual(
      [0, 1].map((index) => ({
        specversion: '1.0',
        id: eventId(command.command_id, index),
        source: '/nexusmon/mission',
        type: 'nexusmon.mission.Added.v1',
        subject: id,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        datacontenttype: 'application/json',
        actor: 'operator:ada',
        correlationid: 'msn_x',
        causationid: command.command_id,
        traceparent: '00-aa-bb-01',
        data: { by: 1 },
      })),
    );
    expect(first.commands).toEqual([{ command_id: command.command_id, request_digest: 'a'.repeat(64) }]);
    expect([first.previous, first.expected, first.state]).toEqual(['', 0, '-']);
    expect([second.previous, second.expected]).toEqual([sha256Hex(first.raw), first.sequence]);
  });

  it('holds only ciphertext of what the contract seals, also in the state it carries', async () => {
    const id = newId('tly');
    const key_id = await keyring.take();
    await a.log.execute(tally, id, add(1, {}, { note: 'a very private word' }), { key_id });
    const commit = await lastOf(id);
    expect(commit.carried).toBeUndefined();
    let carrier = commit;
    while (carrier.carried === undefined) {
      const { state } = await a.log.execute(tally, id, add(1));
      expect(state.notes).toEqual(['a very private word']);
      carrier = await lastOf(id);
    }
    for (const { raw, carried = '' } of [commit, carrier])
      expect(Buffer.from(raw).toString() + carried).not.toContain('private');
    expect(commit.key_id).toBe(key_id);
    expect(await b.log.load(tally, id)).toMatchObject({ key_id, state: { notes: ['a very private word'] } });

    const message = await new EventStream(a.mux, 0, streamName(0)).at(commit.sequence);
    const stream = { number: 0, name: streamName(0), incarnation: 'abcdefabcdef' };
    if (!message) throw new Error('gone');
    const [event] = await decodeCommit(message, new Catalogues([tally]), keyring, stream).open();
    expect(event).toMatchObject({ name: 'Added', version: 1, data: { by: 1, note: 'a very private word' } });
  });

  it('is never written open for want of a key', async () => {
    await expect(a.log.execute(tally, newId('tly'), add(1, {}, { note: 'private' }))).rejects.toThrow(EventInvalid);
  });

  it('reads as erased once its key is destroyed, and the aggregate goes on', async () => {
    const id = newId('tly');
    const key_id = await keyring.take();
    await a.log.execute(tally, id, add(1, {}, { note: 'private' }), { key_id });
    await keyring.destroy(key_id);
    const c = await openLog(server, { keyring });
    await c.log.start();
    expect(await c.log.load(tally, id)).toMatchObject({ state: { total: 1, notes: ['[erased]'] } });
    expect(await c.log.execute(tally, id, add(2))).toMatchObject({ kind: 'accepted', state: { total: 3 } });
    await expect(c.log.execute(tally, id, add(1, {}, { note: 'more' }))).rejects.toThrow(EventInvalid);
    await c.close();
  });
});

describe('two processes', () => {
  it('do each command of a race once, on the state that won (L3)', async () => {
    const id = newId('tly');
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, index) => (index % 2 ? a : b).log.execute(tally, id, add(1))),
    );
    expect(outcomes.every(({ kind }) => kind === 'accepted')).toBe(true);
    expect((await a.log.load(tally, id)).state.total).toBe(60);
  });

  it('do a command that was sent to both once', async () => {
    const id = newId('tly');
    const commands = Array.from({ length: 20 }, () => add(1));
    await Promise.all(
      commands.flatMap((command) => [a.log.execute(tally, id, command), b.log.execute(tally, id, command)]),
    );
    expect((await a.log.load(tally, id)).state.total).toBe(20);
  });
});

describe('large state', () => {
  it('is carried now and then, and loads exactly as it was', async () => {
    const id = newId('tly');
    await a.log.execute(tally, id, fill(20_000));
    for (let round = 1; round <= 50; round += 1) {
      const { state, revision } = await a.log.execute(tally, id, add(round));
      const cold = await openLog(server, { keyring });
      await cold.log.start();
      expect(await cold.log.load(tally, id)).toMatchObject({ state, revision });
      const { command_id } = add(0);
      expect(await cold.log.knows(tally, id, command_id)).toBe(false);
      await cold.close();
    }
    const commits = (await allCommits(a)).filter((commit) => commit.id === id);
    const carriers = commits.filter(({ state }) => state === 'self').length;
    expect(carriers).toBeGreaterThanOrEqual(3);
    expect(carriers).toBeLessThanOrEqual(6);
  });

  it('that is too large to be carried is folded from the start', async () => {
    const id = newId('tly');
    const hoarder = { ...tally, name: 'hoarder', decider: { ...tally.decider, evolve: hoard } };
    for (let round = 0; round < 6; round += 1) await a.log.execute(hoarder, id, fill(150_000));
    const c = await openLog(server, { keyring });
    await c.log.start();
    const { state, revision } = await c.log.load(hoarder, id);
    expect([state.ballast.length, revision]).toEqual([900_000, 6]);
    expect(await c.log.execute(hoarder, id, add(1))).toMatchObject({ revision: 7 });
    await c.close();
  });

  it('that other code has folded is folded again (T1)', async () => {
    const id = newId('tly');
    await a.log.execute(tally, id, add(3));
    await a.log.execute(tally, id, add(4));
    const doubled = { ...tally, state_version: 2, decider: { ...tally.decider, evolve: twice } };
    expect(await b.log.load(doubled, id)).toMatchObject({ state: { total: 14 }, revision: 2 });
  });
});

const hoard: typeof tally.decider.evolve = (state, event) =>
  event.type === 'Filled'
    ? { ...state, ballast: state.ballast + event.data.ballast }
    : tally.decider.evolve(state, event);
const twice: typeof tally.decider.evolve = (state, event) =>
  event.type === 'Added' ? { ...state, total: state.total + 2 * event.data.by } : state;

describe('a follow-up', () => {
  const following = (propose: (state: Tally) => Identified<TallyCommand>[]) => {
    const told: { outcome: string; proposed: Proposed<Tally, TallyCommand> }[] = [];
    const aggregate = { ...tally };
    const follow_up = {
      propose: (state: Tally) => Promise.resolve(propose(state)),
      settled: (outcome: string, proposed: Proposed<Tally, TallyCommand>) => told.push({ outcome, proposed }),
    };
    a.log.register(aggregate, { follow_up });
    return { aggregate, told };
  };

  it('is decided in the same commit, and told that it stood', async () => {
    const id = newId('tly');
    const { aggregate, told } = following(({ total }) => [add(total * 10), add(0)]);
    const outcome = await a.log.execute(aggregate, id, add(1));
    expect(outcome).toMatchObject({
      kind: 'accepted',
      state: { total: 11 },
      revision: 1,
      events: [{ data: { by: 1 } }],
    });
    expect(told).toMatchObject([{ outcome: 'committed', proposed: { id, kinds: ['accepted', 'nothing'] } }]);
  });

  it('is asked again after a conflict, and told that the first was in vain', async () => {
    const id = newId('tly');
    await a.log.execute(tally, id, add(1));
    const { aggregate, told } = following(({ total }) => [add(total * 10)]);
    await a.log.execute(aggregate, id, add(1));
    await b.log.execute(tally, id, add(100));
    await a.log.execute(aggregate, id, add(1));
    expect(told.map(({ outcome }) => outcome)).toEqual(['committed', 'abandoned', 'committed']);
    expect((await b.log.load(tally, id)).state.total).toBe((22 + 100 + 1) * 11);
  });

  it('is asked without an event only on request', async () => {
    const id = newId('tly');
    const { aggregate, told } = following(() => [add(5)]);
    expect((await a.log.execute(aggregate, id, add(0))).state.total).toBe(0);
    expect(told).toEqual([]);
    expect((await a.log.execute(aggregate, id, add(0), { propose: true })).state.total).toBe(5);
  });
});
