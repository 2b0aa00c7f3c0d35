import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Quietness } from './idle-collection.js';

const collections = (readings: readonly number[]): number[] => {
  const quietness = new Quietness();
  return readings.flatMap((reading, index) => (quietness.saw(reading) ? [index] : []));
};

describe('a process that has become quiet', () => {
  it('collects once after work (I1), when it has been quiet for a while (I2)', () => {
    expect(collections([0.9, 0.01, 0.01, 0.01, 0.01])).toEqual([2]);
    expect(collections([0.9, 0.01, 0.1, 0.01, 0.01, 0.5, 0.01, 0.01])).toEqual([4, 7]);
  });

  it('has nothing to collect when it has done nothing', () => {
    expect(collections([0.01, 0.01, 0.19, 0.01, 0.01, 0.01])).toEqual([]);
  });

  it('never collects more often than it has worked, nor beside work', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (readings) => {
        const found = collections(readings);
        const worked = readings.filter((reading) => reading >= 0.2).length;
        expect(found.length).toBeLessThanOrEqual(worked);
        for (const index of found) expect(Math.max(readings[index] ?? 1, readings[index - 1] ?? 1)).toBeLessThan(0.05);
      }),
    );
  });
});
