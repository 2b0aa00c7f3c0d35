import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { overWire } from './wire.js';

const roundTrip = (value: unknown): unknown => {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? undefined : JSON.parse(text);
};

const anything = fc.anything({ withDate: true, withNullPrototype: true, withSparseArray: true, withMap: true });

describe('a value over the wire', () => {
  it('is what JSON makes of it, whatever it is', () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect(overWire(value)).toStrictEqual(roundTrip(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [{ at: new Date(0) }],
    [{ left: undefined, kept: null }],
    [[undefined, () => 1, Number.NaN, -0]],
    [{ toJSON: () => 'itself' }],
    [JSON.parse('{"__proto__":{"polluted":true},"a":1}')],
    [Array(3)],
    [Object.assign(Object.create({ inherited: 1 }) as object, { own: 2 })],
  ])('is so for %j', (value) => {
    expect(overWire(value)).toStrictEqual(roundTrip(value));
  });

  it('shares nothing with the original', () => {
    const original = { list: [{ deep: { text: 'a' } }] };
    const copy = overWire(original) as typeof original;
    if (copy.list[0]) copy.list[0].deep.text = 'b';
    expect(original.list[0]?.deep.text).toBe('a');
  });

  it('throws for what JSON throws for', () => {
    expect(() => overWire({ large: 1n })).toThrow(TypeError);
  });
});
