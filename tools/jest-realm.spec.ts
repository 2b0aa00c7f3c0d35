import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';

class Fault extends Error {}

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('an error in a spec', () => {
  it('is an Error when Node threw it', () => {
    expect(thrownBy(() => readFileSync('/there/is/no/such/file')) instanceof Error).toBe(true);
    expect(thrownBy(() => new URL('nowhere')) instanceof TypeError).toBe(true);
  });
  it('is of its own class and no other', () => {
    expect(new Fault('ours') instanceof Fault && new Fault('ours') instanceof Error).toBe(true);
    expect(thrownBy(() => readFileSync('/there/is/no/such/file')) instanceof Fault).toBe(false);
    expect(new Error('any') instanceof TypeError).toBe(false);
  });
});
