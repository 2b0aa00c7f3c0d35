import { describe, expect, it } from '@jest/globals';
import { progressDocument, type Stage } from '@nexusmon/evolution-contract';
import type { Category, Rank } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { openCapabilities, progress, score, stageAt, type Completion } from './progress.js';

const completion = (over: Partial<Completion> = {}): Completion => ({
  verified: true,
  fulfilled: true,
  effective_rank: 'E',
  category: 'library',
  earlier: 0,
  ...over,
});

describe('a completed mission', () => {
  it.each<[Rank, number]>([
    ['E', 1],
    ['D', 2],
    ['C', 4],
    ['B', 8],
    ['A', 16],
    ['S', 32],
  ])('of rank %s earns %d XP', (effective_rank, xp) =>
    expect(score(completion({ effective_rank }))).toEqual({ counts: true, novelty: 1, xp }),
  );
  it.each<[Category, number]>([
    ['coin', 1.5],
    ['forge', 1.2],
    ['library', 1],
    ['sanctuary', 1],
  ])('of %s earns %d times as much', (category, xp) => expect(score(completion({ category })).xp).toBe(xp));
  it.each([
    [0, 1],
    [1, 0.5],
    [2, 0.25],
    [10, 1 / 1_024],
  ])('after %d of the same has novelty %d (E2)', (earlier, novelty) =>
    expect(score(completion({ earlier, effective_rank: 'S', category: 'coin' }))).toEqual({
      counts: true,
      novelty,
      xp: 48 * novelty,
    }),
  );
  it.each([{ verified: false }, { fulfilled: false }])('counts nothing when %j (E1)', (over) =>
    expect(score(completion(over))).toEqual({ counts: false, novelty: 0, xp: 0 }),
  );
  it('never adds up to two by being repeated (E2)', () =>
    fc.assert(
      fc.property(fc.nat(2_000), (times) => {
        const count = Array.from({ length: times }, (_, earlier) => score(completion({ earlier })).novelty).reduce(
          (sum, next) => sum + next,
          0,
        );
        expect(count).toBeLessThanOrEqual(2);
      }),
    ));
});

describe('a stage', () => {
  it.each<[number, Stage]>([
    [0, 'DORMANT'],
    [0.99, 'DORMANT'],
    [1, 'AWAKENING'],
    [9.99, 'AWAKENING'],
    [10, 'FORGING'],
    [49.99, 'FORGING'],
    [50, 'SOVEREIGN'],
    [199.99, 'SOVEREIGN'],
    [200, 'APEX'],
    [1e9, 'APEX'],
  ])('at count %d is %s (E4)', (count, stage) => expect(stageAt(count)).toBe(stage));

  it.each<[Stage, string[]]>([
    ['DORMANT', []],
    ['AWAKENING', ['RECALL', 'COMPANION']],
    ['FORGING', ['RECALL', 'COMPANION', 'WORKER_SPAWN', 'BELIEF_TRACK']],
    ['SOVEREIGN', ['RECALL', 'COMPANION', 'WORKER_SPAWN', 'BELIEF_TRACK', 'AUTONOMOUS_CHAIN', 'OPERATOR_FUSION']],
    ['APEX', ['RECALL', 'COMPANION', 'WORKER_SPAWN', 'BELIEF_TRACK', 'AUTONOMOUS_CHAIN', 'OPERATOR_FUSION']],
  ])('%s opens %j', (stage, capabilities) => expect(openCapabilities(stage)).toEqual(capabilities));

  it('has a document that names the next', () => {
    const document = progressDocument.parse(progress({ count: 1.5, xp: 3, verified_missions: 2 }));
    expect(document).toMatchObject({
      stage: 'AWAKENING',
      count: 1.5,
      xp: 3,
      next_stage: 'FORGING',
      next_stage_at: 10,
      verified_missions: 2,
    });
    expect(document.capabilities).toContainEqual({ capability: 'RECALL', open: true, opens_at: 'AWAKENING' });
    expect(document.capabilities).toContainEqual({ capability: 'WORKER_SPAWN', open: false, opens_at: 'FORGING' });
  });
  it('has no next when it is the last', () =>
    expect(progress({ count: 200, xp: 0, verified_missions: 200 })).not.toHaveProperty('next_stage'));
  it('is never reached by XP (E4)', () =>
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true }), (xp) =>
        expect(progress({ count: 0, xp, verified_missions: 0 }).stage).toBe('DORMANT'),
      ),
    ));
});
