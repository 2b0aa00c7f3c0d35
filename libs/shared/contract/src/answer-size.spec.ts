import { describe, expect, it } from '@jest/globals';
import { fittingCount } from './answer-size.js';

describe('a page', () => {
  it('ends before it is too large, and has one item at least (A1)', () => {
    const items = ['x'.repeat(97), 'x'.repeat(97), 'x'.repeat(97)]; // Each 100 bytes with its quotes and comma.
    expect([0, 99, 100, 199, 200, 299, 300, 1_000].map((bytes) => fittingCount(items, bytes))).toEqual([
      ...[1, 1, 1, 1, 2, 2, 3, 3],
    ]);
    expect(fittingCount([])).toBe(0);
  });
});
