import { describe, expect, it } from '@jest/globals';
import { accountDocument, type Stage } from '@nexusmon/evolution-contract';
import type { Category, Rank } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { explained, score, shareOf, stageAt, xpOf, type Completion, type Share } from './progress.js';

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
    expect(score(completion({ effective_rank }))).toEqual({ counts: true, novelty: 1, xp_tenths: xp * 10 }),
  );
  it.each<[Category, number]>([
    ['coin', 1.5],
    ['forge', 1.2],
    ['library', 1],
    ['sanctuary', 1],
  ])('of %s earns %d times as much', (category, xp) =>
    expect(xpOf(score(completion({ category })).xp_tenths)).toBe(xp),
  );
  it.each([
    [0, 1],
    [1, 0.5],
    [2, 0.25],
    [10, 1 / 1_024],
    [30, 2 ** -30],
    [31, 0],
    [5_000, 0],
  ])('after %d of the same has novelty %d (E2, E6)', (earlier, novelty) =>
    expect(score(completion({ earlier, effective_rank: 'S', category: 'coin' }))).toEqual({
      counts: true,
      novelty,
      xp_tenths: 480 * novelty,
    }),
  );
  it.each([{ verified: false }, { fulfilled: false }])('counts nothing when %j (E1)', (over) =>
    expect(score(completion(over))).toEqual({ counts: false, novelty: 0, xp_tenths: 0 }),
  );
  it('never adds up to two by being repeated (E2)', () =>
    fc.assert(
      fc.property(fc.nat(2_000), (times) => {
        const count = Array.from({ length: times }, (_, earlier) => score(completion({ earlier })).novelty).reduce(
          (sum, next) => sum + next,
          0,
        );
        expect(count).toBeLessThan(2);
      }),
    ));
});

describe('a reviewed mission', () => {
  const earned = score(completion({ effective_rank: 'B', category: 'coin', earlier: 1 }));
  it.each([undefined, 'fine'] as const)('keeps what it gave when it is %s', (verdict) =>
    expect(shareOf(earned, verdict)).toEqual({ count: 0.5, xp_tenths: 60, missions: 1 }),
  );
  it('that was not fine takes back all, and as much XP again (E5)', () =>
    expect(shareOf(earned, 'not_fine')).toEqual({ count: 0, xp_tenths: -60, missions: 0 }));
  it('that gave nothing takes nothing', () =>
    expect(shareOf(score(completion({ fulfilled: false })), 'not_fine')).toEqual({
      ...{ count: 0, xp_tenths: 0, missions: 0 },
    }));
});

describe('the sums', () => {
  const some = fc.record({
    effective_rank: fc.constantFrom<Rank>('E', 'D', 'C', 'B', 'A', 'S'),
    category: fc.constantFrom<Category>('coin', 'forge', 'library', 'sanctuary'),
    earlier: fc.nat(40),
    verdict: fc.constantFrom('fine' as const, 'not_fine' as const, undefined),
  });
  const sum = (shares: readonly Share[]) =>
    shares.reduce(([count, xp], share) => [count + share.count, xp + share.xp_tenths] as const, [0, 0] as readonly [
      number,
      number,
    ]);

  it('are the same in whatever order they are taken (E6)', () =>
    fc.assert(
      fc.property(fc.array(some, { maxLength: 200 }), fc.infiniteStream(fc.nat()), (missions, order) => {
        const shares = missions.map(({ verdict, ...over }) => shareOf(score(completion(over)), verdict));
        const shuffled = shares
          .map((share) => ({ share, at: order.next().value as number }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ share }) => share);
        expect(sum(shuffled)).toEqual(sum(shares));
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
});

describe('an explanation', () => {
  it.each(accountDocument.shape.reason.options)('is there for %s', (reason) =>
    expect(explained(reason, 2)).toMatch(/^[a-z].{8,}/),
  );
  it('says which of its kind a mission was', () => expect(explained('repeated', 7)).toContain('number 7 '));
});
