import { describe, expect, it } from '@jest/globals';
import { encodePosition } from '@nexusmon/event-log';
import { earliestOf } from './earliest.js';

const at = (...places: readonly (readonly [stream: number, sequence: number, index: number])[]) =>
  encodePosition(
    new Map(
      places.map(([stream, sequence, index]) => [stream, { incarnation: 'abcdefabcdef', sequence, index }] as const),
    ),
  );

describe('the earliest of several positions', () => {
  it('is the place behind which none has seen everything, stream by stream', () => {
    expect(earliestOf([at([0, 7, 2], [1, 4, 0]), at([0, 5, 9], [1, 6, 0]), at([0, 7, 0])])).toBe(
      at([0, 5, 9], [1, 4, 0]),
    );
  });
  it('tells places within a commit apart', () =>
    expect(earliestOf([at([0, 5, 3]), at([0, 5, 1])])).toBe(at([0, 5, 1])));
  it('is that one where there is one', () => expect(earliestOf([at([0, 5, 3])])).toBe(at([0, 5, 3])));
});
