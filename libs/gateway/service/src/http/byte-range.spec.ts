import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { wantedRange } from './byte-range.js';

const TAG = 'a'.repeat(64);
const of = (range: string | undefined, size = 10, if_range?: string) =>
  wantedRange({ range, 'if-range': if_range }, { size, tag: TAG });

describe('the range of a request', () => {
  it.each([
    ['bytes=0-4', { first: 0, last: 4 }],
    ['bytes=4-4', { first: 4, last: 4 }],
    ['bytes=4-', { first: 4, last: 9 }],
    ['bytes=4-99999999999999999999999', { first: 4, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-99', { first: 0, last: 9 }],
    ['Bytes=0-0', { first: 0, last: 0 }],
    ['bytes= 1-2 ', { first: 1, last: 2 }],
  ])('%s of ten bytes', (range, expected) => expect(of(range)).toEqual(expected));

  it.each(['bytes=10-', 'bytes=10-11', 'bytes=99999999999999999999-', 'bytes=-0'])('%s cannot be satisfied', (range) =>
    expect(of(range)).toBe('unsatisfiable'),
  );

  it.each([undefined, '', 'bytes', 'bytes=', 'bytes=-', 'bytes=5-4', 'bytes=a-b', 'bytes=0x1-2', 'lines=1-2', '0-1'])(
    '%s is answered with the whole (R1)',
    (range) => expect(of(range)).toBe('whole'),
  );
  it.each(['bytes=0-1,4-5', 'bytes=0-1, -1'])('several ranges are answered with the whole (R1): %s', (range) =>
    expect(of(range)).toBe('whole'),
  );

  it('of nothing is nothing that can be named', () => {
    expect(of('bytes=0-', 0)).toBe('unsatisfiable');
    expect(of('bytes=-5', 0)).toBe('whole');
    expect(of('bytes=-0', 0)).toBe('unsatisfiable');
  });

  it('holds only for the tag that If-Range names (R2)', () => {
    expect(of('bytes=0-4', 10, `"${TAG}"`)).toEqual({ first: 0, last: 4 });
    for (const other of [`W/"${TAG}"`, TAG, '"b"', `"${TAG}", "b"`, 'Wed, 21 Oct 2015 07:28:00 GMT', '*', ''])
      expect(of('bytes=0-4', 10, other)).toBe('whole');
  });

  it('lies within the blob whatever is asked', () => {
    const number = fc.oneof(fc.nat(30), fc.constant('' as const));
    fc.assert(
      fc.property(fc.nat(20), number, number, (size, from, to) => {
        const range = of(`bytes=${from}-${to}`, size);
        if (typeof range === 'string') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.last).toBeGreaterThanOrEqual(range.first);
        expect(range.last).toBeLessThan(size);
        if (from !== '') expect(range.first).toBe(from);
      }),
    );
  });
});
