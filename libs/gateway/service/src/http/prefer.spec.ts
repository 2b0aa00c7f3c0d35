import { describe, expect, it } from '@jest/globals';
import { preferredWait, WAIT_SECONDS_MAX } from './prefer.js';

describe('a preference to wait', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['respond-async', undefined],
    ['wait=10', 10],
    ['wait=0', 0],
    ['WAIT = 10', 10],
    ['wait="10"', 10],
    ['respond-async, wait=3; foo=bar', 3],
    ['wait=5, wait=60', 5],
    ['wait=999999', WAIT_SECONDS_MAX],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=soon', undefined],
    ['wait', undefined],
    ['await=5', undefined],
  ])('in %j is %j', (header, seconds) => {
    expect(preferredWait(header)).toBe(seconds);
  });
});
