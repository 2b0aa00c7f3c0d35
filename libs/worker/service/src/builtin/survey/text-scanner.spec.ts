import { isUtf8 } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HEAD_BYTES } from './text-head.js';
import { TextScanner } from './text-scanner.js';

const scan = (chunks: readonly Buffer[], places_max = 50) => {
  const scanner = new TextScanner(places_max);
  for (const chunk of chunks) scanner.push(chunk);
  return scanner.end();
};

const naive = (bytes: Buffer) => {
  const head = bytes.subarray(0, HEAD_BYTES);
  const text = bytes.toString('utf8');
  const is_text = !head.includes(0) && (isUtf8(head) || !/[\x00-\x07\x0e-\x1a\x1c-\x1f]/.test(head.toString('latin1')));
  if (!is_text) return { is_text, lines: 0, todos: 0, places: [] };
  const lines = text === '' ? 0 : text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const places = text.split('\n').flatMap((line, index) =>
    [...line.matchAll(/(?<![\p{L}\p{M}\p{N}_])(TODO|FIXME)(?![\p{L}\p{M}\p{N}_])/gu)].map(([marker]) => ({
      marker,
      line: index + 1,
    })),
  );
  return { is_text, lines, todos: places.length, places };
};

const words = [
  'TODO',
  'FIXME',
  'TOD',
  'O',
  'FIX',
  'ME',
  ' ',
  '\n',
  '_',
  '7',
  'x',
  '—',
  'é',
  '語',
  '😀',
  '\u0301',
  '\r\n',
  ':',
];
const broken = [[0xc3], [0xe2, 0x89], [0xff], [0xa9], [0xf0, 0x9f, 0x98], [0xc0, 0x80], [0xed, 0xa0, 0x80]];
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...words).map((word) => Buffer.from(word)) },
  { weight: 1, arbitrary: fc.constantFrom(...broken).map((bad) => Buffer.from(bad)) },
);
const bytes = fc.oneof(
  { weight: 8, arbitrary: fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.concat(pieces)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)) },
);

const cut = (whole: Buffer, sizes: readonly number[]) => {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < whole.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    chunks.push(whole.subarray(at, at + size));
    at += size;
  }
  return chunks;
};

describe('a text scanner', () => {
  it('counts the same as a search over the whole, however the file is cut (S2, S3)', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 });
    const filler = fc.constantFrom(0, HEAD_BYTES - 3, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 2);
    fc.assert(
      fc.property(bytes, sizes, filler, (tail, cuts, filled) => {
        const whole = Buffer.concat([Buffer.alloc(filled, 'a'), tail]);
        const { is_text, lines, todos, places } = scan([whole.subarray(0, filled), ...cut(tail, cuts)]);
        const shown = places.map(({ marker, line }) => ({ marker, line }));
        // The naive judgement takes a character that the head's end cuts for a fault: left to the specs below.
        fc.pre(filled === 0 || isUtf8(whole.subarray(0, HEAD_BYTES)));
        expect({ is_text, lines, todos, places: shown }).toEqual(naive(whole));
      }),
      { numRuns: 2_000 },
    );
  });

  it('names the offset of each marker', () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 9 }), (whole, size) => {
        for (const { marker, offset } of scan(cut(whole, [size])).places)
          expect(whole.toString('latin1', offset, offset + marker.length)).toBe(marker);
      }),
    );
  });

  it.each([
    ['', 0],
    ['\n', 1],
    ['a', 1],
    ['a\n', 1],
    ['a\nb', 2],
    ['a\r\nb\r\n', 2],
    ['\n\n\n', 3],
  ])('gives %j %i lines (S2)', (text, lines) => {
    expect(scan([Buffer.from(text)]).lines).toBe(lines);
  });

  it.each([
    ['TODO TODO', 2],
    ['TODO: one FIXME(two)', 2],
    ['Todo todo FIXMES aTODO TODO_ TODO1 _FIXME', 0],
    ['MÉTODO TODOÉ TODO語 FIXME\u0301', 0],
    ['—TODO TODO— "FIXME" 😀TODO😀', 4],
    ['', 0],
    ['TODOTODO', 0],
  ])('finds in %j %i markers (S3)', (text, todos) => {
    expect(scan([Buffer.from(text)]).todos).toBe(todos);
  });

  it('takes a character that the end of the head cuts in two for text (S1)', () => {
    const whole = Buffer.concat([Buffer.alloc(HEAD_BYTES - 1, 'a'), Buffer.from('é TODO\n'), Buffer.from([1])]);
    expect(scan([whole])).toMatchObject({ is_text: true, todos: 1, lines: 2 });
  });

  it('knows that more follows a head that came alone (S1)', () => {
    const head = Buffer.concat([Buffer.from([1]), Buffer.alloc(HEAD_BYTES - 2, 'a'), Buffer.from('é').subarray(0, 1)]);
    expect(scan([head, Buffer.from('é').subarray(1)])).toMatchObject({ is_text: true });
    expect(scan([head])).toMatchObject({ is_text: false });
  });

  it('takes Latin-1 for text, and bytes with control characters or NUL for binary (S1)', () => {
    expect(scan([Buffer.from('caf\xe9 TODO\n', 'latin1')])).toMatchObject({ is_text: true, todos: 1 });
    expect(scan([Buffer.from([0x1f, 0x8b, 0x08, 0x03, 0xff])])).toMatchObject({ is_text: false, lines: 0 });
    expect(scan([Buffer.from('TODO\0TODO')])).toMatchObject({ is_text: false, todos: 0 });
  });

  it('counts on past a NUL that stands behind the head (S1)', () => {
    const whole = Buffer.concat([Buffer.alloc(HEAD_BYTES, 'a'), Buffer.from('\0 TODO\n')]);
    expect(scan([whole])).toMatchObject({ is_text: true, todos: 1, lines: 1 });
  });

  it('is done with a line of a million markers in a moment (S4)', () => {
    const chunk = Buffer.from('TODO '.repeat(50_000));
    expect(
      scan(
        Array.from({ length: 20 }, () => chunk),
        3,
      ),
    ).toMatchObject({ todos: 1_000_000, lines: 1 });
  });
});
