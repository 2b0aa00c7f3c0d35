import { describe, expect, it } from '@jest/globals';
import type { Stage, StageEvent } from '@nexusmon/evolution-contract';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { stageAt } from './progress.js';
import { stageDecider, type Reckoning, type StageCommand } from './stage.js';

const { given, history } = specify(stageDecider());

const time = '2026-01-01T12:00:00.000Z';
const actor = 'service:evolution';
const reckoning = (count: number, revision: number, over: Partial<Reckoning> = {}): Reckoning => ({
  ...{ count, revision, xp: count * 1.2, verified_missions: Math.ceil(count) },
  ...{ mission_id: 'msn_0190b6c1-0000-7000-8000-000000000002', position: `0.a.${revision}.0` },
  ...over,
});
const take = (...given: Parameters<typeof reckoning>): StageCommand => ({
  ...{ type: 'TakeReckoning', actor, time, data: reckoning(...given) },
});
const changed = (from: Stage, to: Stage, count: number, revision: number): StageEvent => ({
  ...{ type: 'StageChanged', actor, time, data: { from, to, ...reckoning(count, revision) } },
});
const forging = [changed('DORMANT', 'AWAKENING', 1, 1), changed('AWAKENING', 'FORGING', 10, 10)];

describe('the stage', () => {
  it('begins dormant', () => expect(given().state()).toEqual({ stage: 'DORMANT', revision: 0 }));
  it('rises at the mark, and says what it was decided on (S1)', () =>
    given()
      .when(take(1, 1))
      .then(changed('DORMANT', 'AWAKENING', 1, 1)));
  it('does not rise before the mark (S1)', () => given().when(take(0.999, 1)).thenNothing());
  it('may rise by more than one (S1)', () =>
    given()
      .when(take(50, 7))
      .then(changed('DORMANT', 'SOVEREIGN', 50, 7)));
  it('stays where the count leaves it (S1)', () =>
    given(...forging)
      .when(take(11, 11))
      .thenNothing());
  it('falls when what was counted is taken back (S1)', () =>
    given(...forging)
      .when(take(9.5, 12))
      .then(changed('FORGING', 'AWAKENING', 9.5, 12)));
  it.each([
    ['repeated', 10, 10],
    ['late', 9, 9],
    ['late, and of another stage', 0.5, 3],
    ['of the same number, and of another count', 60, 10],
  ])('takes no notice of a reckoning that is %s (S2)', (_, count, revision) =>
    given(...forging)
      .when(take(count, revision))
      .thenNothing(),
  );
  it.each<[string, Partial<Reckoning>]>([
    ['no count', { count: NaN }],
    ['endless count', { count: Infinity }],
    ['negative count', { count: -0.5 }],
    ['no XP', { xp: NaN }],
    ['part of a mission', { verified_missions: 1.5 }],
    ['fewer than no missions', { verified_missions: -1 }],
    ['no order', { revision: 0 }],
    ['half an order', { revision: 1.5 }],
  ])('refuses a reckoning with %s (S3)', (_, over) =>
    given()
      .when(take(60, 20, over))
      .thenRejected({ code: 'reckoning-invalid' }),
  );
  it('takes XP below nothing for what it is', () =>
    given()
      .when(take(0, 2, { xp: -3 }))
      .thenNothing());
});

describe('any reckonings, repeated and late', () => {
  const walk = fc.array(fc.constantFrom(-1, -0.5, 0.5, 1, 9, 40, 150), { minLength: 1, maxLength: 40 });

  it('leave the stages that the counts passed through, each once (S1, S2)', () =>
    fc.assert(
      fc.property(walk, fc.infiniteStream(fc.nat(3)), (steps, chances) => {
        const counts = steps.reduce<number[]>((past, step) => [...past, Math.max(0, (past.at(-1) ?? 0) + step)], []);
        const inOrder = counts.map((count, index) => take(count, index + 1));
        const disturbed = inOrder.flatMap((command, index) => [
          command,
          ...inOrder.slice(0, index + 1).filter(() => chances.next().value === 0),
        ]);
        const expected = counts
          .map((count) => stageAt(count))
          .filter((stage, index, all) => stage !== (all[index - 1] ?? 'DORMANT'));
        const stagesOf = (commands: readonly StageCommand[]) => history(commands).map(({ data }) => data.to);
        expect(stagesOf(inOrder)).toEqual(expected);
        expect(stagesOf(disturbed).at(-1)).toEqual(expected.at(-1));
      }),
    ));
});
