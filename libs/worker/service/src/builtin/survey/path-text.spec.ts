import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { oneLine, pathBytes, pathText } from './path-text.js';

const name = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: fc.constantFrom('\\', 'x', 'F', 'a', '/', 'é', '\n', ' ') }).map((text) => Buffer.from(text)),
);

describe('the text of a path', () => {
  it('says exactly which bytes it has (P1)', () => {
    fc.assert(
      fc.property(name, (path) => expect(pathBytes(pathText(path))).toEqual(path)),
      { numRuns: 2_000 },
    );
  });

  it('can be kept by every store', () => {
    fc.assert(fc.property(name, (path) => expect(pathText(path).isWellFormed()).toBe(true)));
  });

  it('is plain where the name is', () => {
    expect(pathText(Buffer.from('src/häuser.ts'))).toBe('src/häuser.ts');
    expect(pathText(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\\xFFb');
    expect(pathText(Buffer.from('a\\xFF'))).toBe('a\\\\xFF');
  });
});

describe('one line', () => {
  it('has no control, invisible or direction-changing character (P2)', () => {
    expect(oneLine(' a\u0000\n\u202eb\u200d\tc ', 20)).toBe('a b c');
  });

  it('is cut by characters and not through one', () => {
    expect(oneLine('😀'.repeat(10), 4)).toBe('😀😀😀…');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => expect(oneLine(text, 5).isWellFormed()).toBe(true)));
  });
});
