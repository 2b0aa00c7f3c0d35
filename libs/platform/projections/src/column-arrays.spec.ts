import { describe, expect, it } from '@jest/globals';
import { columnArray } from './column-arrays.js';

/** One row for each value of a column, and what PostgreSQL would read of the array. */
const sent = (type: string, values: readonly unknown[]) => {
  const array = columnArray(
    { name: 'value', type },
    values.map((value) => ({ value })),
  );
  const { bytes } = array;
  const [dimensions, , oid, count, first] = [0, 4, 8, 12, 16].map((at) => bytes.readInt32BE(at));
  expect({ dimensions, count, first }).toEqual({ dimensions: 1, count: values.length, first: 1 });
  const items: (string | undefined)[] = [];
  let at = 20;
  while (at < bytes.length) {
    const size = bytes.readInt32BE(at);
    at += 4;
    items.push(size < 0 ? undefined : bytes.subarray(at, at + size).toString('latin1'));
    at += Math.max(0, size);
  }
  return { oid, type: array.type, cast: array.cast, items };
};

const hex = (items: readonly (string | undefined)[]) =>
  items.map((item) => item && Buffer.from(item, 'latin1').toString('hex'));

describe('a column as an array', () => {
  it('has numbers and flags in their own width', () => {
    const { items, ...bigint } = sent('bigint', [1, '9007199254740993', null, -1]);
    expect(bigint).toEqual({ oid: 20, type: 'bigint', cast: '' });
    expect(hex(items)).toEqual(['0000000000000001', '0020000000000001', undefined, 'ffffffffffffffff']);
    expect(hex(sent('integer', [-2, undefined]).items)).toEqual(['fffffffe', undefined]);
    expect(hex(sent('boolean', [true, false]).items)).toEqual(['01', '00']);
    expect(hex(sent('double precision', [1.5]).items)).toEqual(['3ff8000000000000']);
  });

  it('has text as it is, in bytes', () => {
    const { items, ...text } = sent('text', ['é', '', null, 7]);
    expect(text).toEqual({ oid: 25, type: 'text', cast: '' });
    expect(hex(items)).toEqual(['c3a9', '', undefined, '37']);
  });

  it('has JSON as text, once', () => {
    expect(sent('json', [{ a: [1] }, 'x', null])).toMatchObject({
      oid: 114,
      cast: '',
      items: ['{"a":[1]}', '"x"', undefined],
    });
    expect(sent('jsonb', [{ a: 1 }])).toMatchObject({ type: 'json', cast: '::jsonb', items: ['{"a":1}'] });
  });

  it('has lists, and types it does not know, as text that is cast', () => {
    const items = ['{"a","say \\"b\\" \\\\",null}', '{}'];
    expect(sent('text[]', [['a', 'say "b" \\', null], []])).toMatchObject({ type: 'text', cast: '::text[]', items });
    expect(sent('timestamp with time zone', ['2026-01-01'])).toMatchObject({ cast: '::timestamp with time zone' });
  });

  it('refuses what is no value of its type', () => {
    expect(() => sent('boolean', ['yes'])).toThrow('neither true nor false');
    expect(() => sent('bigint', [1.5])).toThrow();
    expect(() => sent('integer', [2 ** 40])).toThrow();
  });
});
