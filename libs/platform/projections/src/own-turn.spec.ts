import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ownTurn, Slices } from './own-turn.js';

describe('work that gives way', () => {
  let turn = 0;
  let next: NodeJS.Immediate | undefined;
  const count = (): void => {
    turn += 1;
    next = setImmediate(count);
  };
  beforeEach(() => {
    turn = 0;
    next = setImmediate(count);
  });
  afterEach(() => clearImmediate(next));

  it('takes a turn of the event loop for each who asks, in their order', async () => {
    const seen: { who: number; turn: number }[] = [];
    await Promise.all(
      [1, 2, 3, 4].map(async (who) => {
        await ownTurn();
        seen.push({ who, turn });
      }),
    );
    expect(seen.map(({ who }) => who)).toEqual([1, 2, 3, 4]);
    expect(new Set(seen.map((each) => each.turn)).size).toBe(4);
  });

  it('goes on without a pause while it is short, and lets the loop turn when it is not', async () => {
    const slices = new Slices();
    const spin = (ms: number) => {
      for (const until_ms = performance.now() + ms; performance.now() < until_ms;);
    };
    for (let piece = 0; piece < 8; piece += 1) {
      await slices.next();
      spin(1);
    }
    expect(turn).toBeGreaterThanOrEqual(7);
    expect(new Slices().next()).toBeUndefined();
  });
});
