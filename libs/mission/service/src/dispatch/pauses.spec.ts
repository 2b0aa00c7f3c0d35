import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Pauses } from './pauses.js';

describe('a mission that cannot be served now', () => {
  const over: string[] = [];
  let pauses: Pauses;

  beforeEach(() => {
    jest.useFakeTimers();
    over.length = 0;
    pauses = new Pauses((mission_id) => over.push(mission_id));
  });
  afterEach(() => {
    pauses.close();
    jest.useRealTimers();
  });

  const lengths = (rounds: number): number[] =>
    Array.from({ length: rounds }, () => {
      pauses.begin('one');
      let ms = 0;
      for (; pauses.has('one'); ms += 1) jest.advanceTimersByTime(1);
      return ms;
    });

  it('pauses twice as long each time, up to a bound (P1)', () => {
    expect(lengths(6)).toEqual([250, 500, 1_000, 2_000, 2_000, 2_000]);
    expect(over).toHaveLength(6);
  });

  it('begins anew once it was served', () => {
    lengths(3);
    pauses.end('one');
    expect(lengths(1)).toEqual([250]);
  });

  it('does not pause longer because it is asked again meanwhile', () => {
    pauses.begin('one');
    jest.advanceTimersByTime(200);
    pauses.begin('one');
    jest.advanceTimersByTime(50);
    expect(over).toEqual(['one']);
  });

  it('keeps no other waiting, and tells of nothing that has ended (P1)', () => {
    pauses.begin('one');
    pauses.begin('two');
    pauses.end('one');
    expect([pauses.has('one'), pauses.has('two'), pauses.has('three')]).toEqual([false, true, false]);
    jest.advanceTimersByTime(10_000);
    expect(over).toEqual(['two']);
  });
});
