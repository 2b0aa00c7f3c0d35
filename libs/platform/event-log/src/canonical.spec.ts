import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { canonical, sha256Hex, Unkeepable } from './canonical.js';

const keepable = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\u0000') && text.isWellFormed());
const json = fc.jsonValue({ maxDepth: 8, stringUnit: 'grapheme' });
const hasUnkeepable = (value: unknown): boolean =>
  JSON.stringify(value).includes('\\u0000') || JSON.stringify(value).includes('__proto__');

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
};

describe('canonical JSON', () => {
  it('is what RFC 8785 says, for any JSON', () => {
    fc.assert(
      fc.property(json, (value) => {
        fc.pre(!hasUnkeepable(value));
        expect(canonical(value)).toBe(canonicalize(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is one text whatever order the fields came in', () => {
    fc.assert(
      fc.property(fc.dictionary(keepable, json, { maxKeys: 8 }), (fields) => {
        fc.pre(!hasUnkeepable(fields));
        const reversed = Object.fromEntries(Object.entries(fields).reverse());
        expect(canonical(reversed)).toBe(canonical(fields));
      }),
    );
  });

  it('survives being parsed and written again', () => {
    fc.assert(
      fc.property(json, (value) => {
        fc.pre(!hasUnkeepable(value));
        expect(canonical(JSON.parse(canonical(value)))).toBe(canonical(value));
      }),
    );
  });

  it('has the numbers, the order and the escapes of the RFC', () => {
    expect(canonical([333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    );
    expect(canonical({ '\u20ac': 1, '\r': 2, '1': 3, '\ud83d\ude02': 4, '\u00f6': 5, '\u0080': 6 })).toBe(
      '{"\\r":2,"1":3,"\u0080":6,"\u00f6":5,"\u20ac":1,"\ud83d\ude02":4}',
    );
    expect(canonical('\u000f\n"\\')).toBe('"\\u000f\\n\\"\\\\"');
  });

  it('leaves out what is undefined', () => {
    expect(canonical({ a: undefined, b: 1 })).toBe('{"b":1}');
  });

  it.each([
    ['U+0000', { a: ['x\u0000'] }, 'a.0'],
    ['a lone surrogate', { a: '\ud800' }, 'a'],
    ['a lone surrogate in a name', { a: { '\udc00': 1 } }, 'a.\udc00'],
    ['NaN', { a: Number.NaN }, 'a'],
    ['infinity', [Infinity], '0'],
    ['undefined in an array', [undefined], '0'],
    ['a function', { a: () => 1 }, 'a'],
    ['a bigint', { a: 1n }, 'a'],
    ['__proto__', JSON.parse('{"a":{"__proto__":1}}') as unknown, 'a.__proto__'],
  ])('refuses %s and says where', (_, value, path) => {
    expect(() => canonical(value)).toThrow(Unkeepable);
    expect(() => canonical(value)).toThrow(path);
  });

  it('refuses what would be written as something else than it is', () => {
    for (const value of [new Date(0), new Map([[1, 2]]), Buffer.from('a'), new (class A {})()])
      expect(() => canonical({ value })).toThrow(Unkeepable);
  });

  it('goes 64 deep and no deeper', () => {
    expect(() => canonical(nested(64))).not.toThrow();
    expect(() => canonical(nested(65))).toThrow(Unkeepable);
    expect(() => canonical(nested(20_000))).toThrow(Unkeepable);
  });

  it('hashes as SHA-256, text and bytes alike', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256Hex(Buffer.from('abc'))).toBe(sha256Hex('abc'));
  });
});
