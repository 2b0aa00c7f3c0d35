import { describe, expect, it } from '@jest/globals';
import { OperatorKey, OperatorKeyUnusable } from './operator-key.js';

const pepper = Buffer.alloc(32, 7);
const KEY = 'nx_op_a-key-that-is-long-enough';

describe('the operator key', () => {
  it('matches itself and nothing else', () => {
    const key = new OperatorKey(KEY, pepper);
    expect(key.matches(KEY)).toBe(true);
    for (const other of ['', KEY.slice(1), `${KEY} `, KEY.toUpperCase(), 'nexusmon_sovereign_key', 'x'.repeat(100_000)])
      expect(key.matches(other)).toBe(false);
  });

  it.each(['nexusmon_sovereign_key', 'short', ''])('cannot be %j', (weak) => {
    expect(() => new OperatorKey(weak, pepper)).toThrow(OperatorKeyUnusable);
  });

  it('is not kept as text', () => {
    expect(JSON.stringify(new OperatorKey(KEY, pepper))).not.toContain(KEY);
  });
});
