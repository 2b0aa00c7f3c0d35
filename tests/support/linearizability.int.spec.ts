// The checker of histories, held against one that others wrote, and against histories whose verdict is plain.

import { describe, expect, it } from '@jest/globals';
import { randomOf } from './drill.js';
import { illegalAmong, type History, type Model, type Operation } from './linearizability.js';
import { KINDS, lifeOf, VERBS, type Kind } from './mission-life.js';
import { openPorcupine } from './porcupine.js';

const SEED = 4_711;
const OPERATIONS = ['read', 'create', ...VERBS];
const CLIENTS = 4;

const pick = <Item>(items: readonly Item[], random: () => number): Item => {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
};

const said = (op: string, called: number, returned: number, answer: string | null): Operation => ({
  op,
  called,
  returned: answer === null ? Infinity : returned,
  answer,
});
const of = (...operations: Operation[]): History => ({ id: 'hand-made', initial: 'absent', operations });
const isLegal = (kind: Kind, history: History) => illegalAmong(lifeOf(kind), [history]).length === 0;

/** Clients that each do one thing after another, at moments that a true life would have explained. */
const lived = (model: Model, id: string, random: () => number): History => {
  let state = 'absent';
  const spans = Array.from({ length: CLIENTS }, (_, client) => {
    let time = client === 0 ? 0 : 10;
    return Array.from({ length: 1 + Math.floor(random() * 5) }, (__, index) => {
      const called = (time += random() * 4);
      const acted = (time += random() * 8);
      const returned = (time += random() * 8);
      return { op: client + index === 0 ? 'create' : pick(OPERATIONS, random), called, acted, returned };
    });
  }).flat();
  const operations = spans
    .toSorted((one, other) => one.acted - other.acted)
    .flatMap(({ op, called, returned }) => {
      while (random() < 0.3) {
        const moves = model.moves.filter(([from]) => from === state);
        if (moves.length === 0) break;
        state = pick(moves, random)[1];
      }
      const rules = model.rules.filter((rule) => rule.from === state && rule.op === op);
      if (rules.length === 0) return []; // Nobody asks for what is not there.
      const { answer, to } = pick(rules, random);
      if (random() < 0.1) {
        if (random() < 0.5) state = to;
        return [said(op, called, returned, null)];
      }
      state = to;
      return [said(op, called, returned, answer)];
    });
  return { id, initial: 'absent', operations };
};

/** The same with one answer that another question of the same kind could have had. */
const mistold = (model: Model, history: History, random: () => number): History => {
  if (history.operations.length === 0) return history;
  const index = Math.floor(random() * history.operations.length);
  const operations = history.operations.map((operation, at) => {
    if (at !== index || operation.answer === null) return operation;
    const answers = model.rules.filter(({ op }) => op === operation.op).map(({ answer }) => answer);
    return { ...operation, answer: pick(answers, random) };
  });
  return { ...history, operations };
};

describe('the checker of histories', () => {
  const [created, cancelled] = [said('create', 0, 1, '201'), said('cancel', 2, 3, '200')];

  it('knows a life that was lived', () => {
    const random = randomOf(SEED);
    for (const kind of KINDS) {
      const model = lifeOf(kind);
      const histories = Array.from({ length: 200 }, (_, index) => lived(model, `${kind} ${index}`, random));
      expect(illegalAmong(model, histories)).toEqual([]);
    }
  });

  it.each<[string, Kind, Operation[]]>([
    ['a mission that lives on after it was cancelled', 'held', [created, cancelled, said('read', 4, 5, 'completed')]],
    ['a start without the operator key', 'high', [created, said('run', 2, 3, '200')]],
    ['work without a grant', 'high', [created, said('read', 2, 3, 'running')]],
    ['an end that is taken back', 'plain', [created, said('read', 2, 3, 'completed'), said('read', 4, 5, 'running')]],
    [
      'a cancellation that came too late',
      'plain',
      [created, said('read', 2, 3, 'completed'), said('cancel', 4, 5, '200')],
    ],
    ['a refusal that names another state', 'held', [created, said('approve', 2, 3, '409 awaiting_approval')]],
    ['an answer from before the last one', 'held', [created, cancelled, said('read', 4, 5, 'accepted')]],
    ['a failure of what cannot fail', 'plain', [created, said('read', 2, 3, 'failed')]],
    [
      'both of two rulings that exclude each other',
      'high',
      [created, said('deny', 2, 5, '200'), said('approve', 2, 5, '200')],
    ],
  ])('knows %s for what it is', (_, kind, operations) => expect(isLegal(kind, of(...operations))).toBe(false));

  it.each<[string, Kind, Operation[]]>([
    [
      'that were under way at the same time',
      'held',
      [created, said('cancel', 2, 9, '200'), said('read', 3, 4, 'accepted')],
    ],
    [
      'that nobody knows the outcome of, long after',
      'held',
      [created, said('cancel', 2, 3, null), said('read', 4, 5, 'accepted'), said('read', 6, 7, 'cancelled')],
    ],
  ])('accepts operations %s', (_, kind, operations) => expect(isLegal(kind, of(...operations))).toBe(true));

  const porcupine = openPorcupine();
  const title = 'says of every history what porcupine says';
  ('missing' in porcupine ? it.skip : it)(
    'missing' in porcupine ? `${title} [skipped: ${porcupine.missing}]` : title,
    () => {
      if ('missing' in porcupine) return;
      const random = randomOf(SEED);
      for (const kind of KINDS) {
        const model = lifeOf(kind);
        const histories = Array.from({ length: 1_000 }, (_, index) =>
          mistold(model, lived(model, `${kind} ${index}`, random), random),
        );
        const illegal = illegalAmong(model, histories).map(({ id }) => id);
        expect(illegal.length).toBeGreaterThan(50);
        expect(illegal.length).toBeLessThan(950);
        expect(porcupine.illegalAmong(model, histories)).toEqual(illegal);
      }
    },
  );
});
