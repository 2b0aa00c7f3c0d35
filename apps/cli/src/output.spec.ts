import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { Output } from './output.js';

const terminal = (columns: number) => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns }) as unknown as NodeJS.WriteStream;
  return new Output({ out: stream, err: stream, json: false, no_color: false });
};

describe('output on a terminal', () => {
  it('is as wide as the terminal, or as most are where it does not know', () => {
    expect([terminal(120).width, terminal(0).width]).toEqual([120, 80]);
  });

  it('fits into the width with its indent, so that a block can be drawn over itself', () => {
    expect(
      terminal(10).table(
        [
          ['one', 'a worker'],
          ['two', 'b'],
        ],
        '  ',
      ),
    ).toBe('  one  a …\n  two  b\n');
  });
});
