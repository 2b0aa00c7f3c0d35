import { beforeEach, describe, expect, it } from '@jest/globals';
import { OwnWrites, REMEMBERED_MS } from './own-writes.js';

const MADE = '0123456789ab';
const at = (sequence: number, stream = 0) => `${stream}.${MADE}.${sequence}.0`;

describe('own writes', () => {
  let now = 0;
  let writes: OwnWrites;
  beforeEach(() => {
    now = 0;
    writes = new OwnWrites(() => now);
  });

  it('are the latest of an account, in every stream', () => {
    writes.note('operator:a', at(7));
    writes.note('operator:a', at(3, 1));
    writes.note('operator:a', at(5));
    expect(writes.floor('operator:a')).toBe(`${at(7)}~${at(3, 1)}`);
  });

  it('are those of nobody else', () => {
    writes.note('operator:a', at(7));
    expect(writes.floor('token:b')).toBeUndefined();
  });

  it('are forgotten after a while, each by itself', () => {
    writes.note('operator:a', at(7));
    now = REMEMBERED_MS - 1;
    expect(writes.floor('operator:a')).toBe(at(7));
    writes.note('token:b', at(8));
    now = REMEMBERED_MS;
    expect([writes.floor('operator:a'), writes.floor('token:b')]).toEqual([undefined, at(8)]);
    writes.note('operator:a', at(9, 1));
    expect(writes.floor('operator:a')).toBe(at(9, 1));
  });

  it('are forgotten in one stream, however often there are others in another (W2)', () => {
    writes.note('operator:a', at(7));
    for (now = 0; now < 3 * REMEMBERED_MS; now += REMEMBERED_MS / 2) writes.note('operator:a', at(now, 1));
    expect(writes.floor('operator:a')).toBe(at(2.5 * REMEMBERED_MS, 1));
  });

  it('have a position', () => {
    expect(() => writes.note('operator:a', 'nonsense')).toThrow('nonsense is not a position');
  });
});
