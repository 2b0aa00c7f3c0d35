// The operator key: kept as an HMAC under a pepper, compared in constant time, never as text.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Keys that stand in public documents. Whoever sends one is refused, whatever this gateway was given. */
const PUBLISHED: readonly string[] = ['nexusmon_sovereign_key'];
const LENGTH_MIN = 16;
const LENGTH_MAX = 1_024;

export class OperatorKeyUnusable extends Error {
  override readonly name = 'OperatorKeyUnusable';
}

export class OperatorKey {
  private readonly digest: Buffer;

  constructor(
    key: string,
    private readonly pepper: Buffer,
  ) {
    if (PUBLISHED.includes(key))
      throw new OperatorKeyUnusable('the operator key is one that is published: choose another');
    if (key.length < LENGTH_MIN)
      throw new OperatorKeyUnusable(`the operator key has fewer than ${LENGTH_MIN} characters`);
    this.digest = this.digestOf(key);
  }

  matches(candidate: string): boolean {
    if (candidate.length > LENGTH_MAX) return false;
    // Both are looked at every time, so that the time taken says nothing.
    const published = PUBLISHED.includes(candidate);
    return timingSafeEqual(this.digestOf(candidate), this.digest) && !published;
  }

  private digestOf(key: string): Buffer {
    return createHmac('sha256', this.pepper).update(key, 'utf8').digest();
  }
}

export const readOperatorKey = (given: string | undefined, file: string, pepper: Buffer): OperatorKey => {
  if (given !== undefined) return new OperatorKey(given.trim(), pepper);
  try {
    return new OperatorKey(readFileSync(file, 'utf8').trim(), pepper);
  } catch (cause) {
    if (cause instanceof OperatorKeyUnusable) throw cause;
    throw new OperatorKeyUnusable(`the operator key file ${file} cannot be read`, { cause });
  }
};
