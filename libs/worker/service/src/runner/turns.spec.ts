import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TURNS, Turns } from './turns.js';

const pair = () => {
  const runner = new Turns();
  return { runner, thread: new Turns(runner.buffer) };
};

describe('a turn', () => {
  it('is begun or taken back, whoever is first, and never both (U1)', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }), fc.nat(1_000_000), (moves, turn) => {
        const { runner, thread } = pair();
        runner.offer(turn);
        const won = moves.map((begins) => (begins ? thread.begin(turn) : runner.takeBack(turn)));
        expect(won).toEqual(moves.map((_, index) => index === 0));
      }),
    );
  });

  it('that was never offered is nobody’s', () => {
    const { runner, thread } = pair();
    expect([thread.begin(3), runner.takeBack(3)]).toEqual([false, false]);
  });

  it('is not taken for a later one in its place (U2)', () => {
    const { runner, thread } = pair();
    runner.offer(5);
    expect(runner.takeBack(5)).toBe(true);
    runner.offer(5 + TURNS);
    expect([thread.begin(5), runner.takeBack(5)]).toEqual([false, false]);
    expect(thread.begin(5 + TURNS)).toBe(true);
  });

  it('is independent of those beside it', () => {
    const { runner, thread } = pair();
    const turns = Array.from({ length: TURNS }, (_, index) => 100 + index);
    for (const turn of turns) runner.offer(turn);
    const begun = turns.filter((turn) => (turn % 2 === 0 ? thread.begin(turn) : runner.takeBack(turn)));
    expect(begun).toEqual(turns);
    expect(turns.filter((turn) => thread.begin(turn) || runner.takeBack(turn))).toEqual([]);
  });
});
