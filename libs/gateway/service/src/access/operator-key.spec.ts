import { describe, expect, it } from '@jest/globals';
import { OperatorKey, OperatorKeyUnusable } from './operator-key.js';

const pepper = Buffer.alloc(32, 7);
const MADE = `nx_op_${'aB3_-'.repeat(9).slice(0, 43)}`;
const CHOSEN = 'a pass-phrase that somebody chose';

describe('the operator key', () => {
  it.each([
    ['made at random', MADE, 'hmac'],
    ['chosen', CHOSEN, 'argon2id'],
    ['that only looks as if it were made at random', MADE.slice(0, -1), 'argon2id'],
  ])('%s matches itself and nothing else', async (_, text, kept_as) => {
    const key = new OperatorKey(text, pepper);
    expect(key.kept_as).toBe(kept_as);
    expect(await key.matches(text)).toBe(true);
    for (const other of [
      '',
      text.slice(1),
      `${text} `,
      text.toUpperCase(),
      'nexusmon_sovereign_key',
      'x'.repeat(100_000),
    ])
      expect(await key.matches(other)).toBe(false);
  });

  it.each(['nexusmon_sovereign_key', 'short', ''])('cannot be %j', (weak) => {
    expect(() => new OperatorKey(weak, pepper)).toThrow(OperatorKeyUnusable);
  });

  it.each([MADE, CHOSEN])('is not kept as text', (text) => {
    expect(JSON.stringify(new OperatorKey(text, pepper))).not.toContain(text);
  });
});
