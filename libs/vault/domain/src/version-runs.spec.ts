import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasVersion, withVersion, withoutVersion, type VersionRuns } from './version-runs.js';

describe('runs of versions', () => {
  it('are a set, in order, and never more than they must be', () => {
    const change = fc.record({ version: fc.integer({ min: 1, max: 12 }), add: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60, size: 'max' }), (changes) => {
        const expected = new Set<number>();
        let runs: VersionRuns = [];
        for (const { version, add } of changes) {
          if (add) expected.add(version);
          else expected.delete(version);
          runs = add ? withVersion(runs, version) : withoutVersion(runs, version);
        }
        for (let version = 0; version <= 13; version += 1)
          expect(hasVersion(runs, version)).toBe(expected.has(version));
        const gaps = [...expected].filter((version) => !expected.has(version + 1)).length;
        expect(runs).toHaveLength(gaps);
        expect(runs.flat()).toEqual(runs.flat().toSorted((a, b) => a - b));
      }),
    );
  });
});
