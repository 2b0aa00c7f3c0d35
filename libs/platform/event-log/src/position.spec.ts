import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  decodePosition,
  encodePosition,
  incarnationOf,
  isAtOrAfter,
  isOfIncarnations,
  joinPositions,
  type Place,
  type PositionVector,
} from './position.js';

const place = fc.record({
  incarnation: fc.constantFrom('0123456789ab', 'ba9876543210'),
  sequence: fc.nat(3),
  index: fc.nat(2),
});
const anyPlace = fc.record({
  incarnation: fc.stringMatching(/^[0-9a-f]{12}$/),
  sequence: fc.maxSafeNat(),
  index: fc.nat(9_999),
});
const inOrder = (vector: PositionVector) => [...vector].sort(([a], [b]) => a - b);
const vectors = (of: fc.Arbitrary<Place>): fc.Arbitrary<PositionVector> =>
  fc
    .uniqueArray(fc.tuple(fc.nat(3), of), { minLength: 1, selector: ([stream]) => stream })
    .map((pairs) => new Map(pairs));

describe('a position', () => {
  it('is text that a URL carries as it is, and reads back as it was', () => {
    fc.assert(
      fc.property(vectors(anyPlace), (vector) => {
        const text = encodePosition(vector);
        expect(encodeURIComponent(text)).toBe(text);
        expect(inOrder(decodePosition(text) ?? new Map())).toEqual(inOrder(vector));
      }),
    );
  });

  it('is nothing else', () => {
    fc.assert(fc.property(fc.string(), (text) => expect(decodePosition(text)).toBeUndefined()));
    const one = '0.0123456789ab.5.0';
    for (const text of ['', '~', `${one}~`, `${one}~${one}`, ` ${one}`, `${one}\n`, `0${one}`, '0.0123456789ab.05.0'])
      expect(decodePosition(text)).toBeUndefined();
    expect(decodePosition('0.0123456789ab.9007199254740993.0')).toBeUndefined();
  });

  it('is at or after another only in every stream of it, and in the same incarnation (O1, O2)', () => {
    fc.assert(
      fc.property(vectors(place), vectors(place), (a, b) => {
        const expected = [...b].every(([stream, target]) => {
          const own = a.get(stream);
          if (!own || own.incarnation !== target.incarnation) return false;
          return own.sequence * 10 + own.index >= target.sequence * 10 + target.index;
        });
        expect(isAtOrAfter(a, b)).toBe(expected);
        expect(isAtOrAfter(a, a)).toBe(true);
      }),
    );
  });

  it('joined with another is at or after both, where their streams are the same ones', () => {
    const same = place.map((each) => ({ ...each, incarnation: '0123456789ab' }));
    fc.assert(
      fc.property(vectors(same), vectors(same), (a, b) => {
        const joined = joinPositions(a, b);
        expect(isAtOrAfter(joined, a) && isAtOrAfter(joined, b)).toBe(true);
      }),
    );
  });

  it('tells whether it is of the streams as they are', () => {
    const incarnation = incarnationOf('NEXUSMON_EVENTS_0', '2026-11-20T10:00:00.000000000Z');
    expect(incarnation).toMatch(/^[0-9a-f]{12}$/);
    expect(incarnationOf('NEXUSMON_EVENTS_0', '2026-11-20T10:00:00.000000001Z')).not.toBe(incarnation);
    const vector = new Map([[0, { incarnation, sequence: 1, index: 0 }]]);
    expect(isOfIncarnations(vector, new Map([[0, incarnation]]))).toBe(true);
    expect(isOfIncarnations(vector, new Map([[0, 'ba9876543210']]))).toBe(false);
    expect(isOfIncarnations(vector, new Map())).toBe(false);
  });
});
