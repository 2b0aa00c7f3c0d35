// The operator key, as it is kept: never as text, compared in constant time.
//
//   O1. A key that was made at random is kept as an HMAC under the pepper: there is nothing to be guessed at.
//   O2. A key that a person chose is kept as argon2id under the same pepper: each guess at it costs memory and time.

import { argon2, argon2Sync, createHmac, randomBytes, timingSafeEqual, type Argon2Parameters } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** Keys that stand in public documents. Whoever sends one is refused, whatever this gateway was given. */
const PUBLISHED: readonly string[] = ['nexusmon_sovereign_key'];
const LENGTH_MIN = 16;
const LENGTH_MAX = 1_024;
/** The form in which a first start makes one: 256 bits. Whatever else looks random may have been typed. */
const MADE_AT_RANDOM = /^nx_op_[A-Za-z0-9_-]{43}$/;
/** OWASP's and RFC 9106's advice for a server that does other things too: 19 MiB, twice over. */
const ARGON2 = { parallelism: 1, tagLength: 32, memory: 19 * 1024, passes: 2 } as const;
const SALT_BYTES = 16;

const stretched = promisify(argon2);

export class OperatorKeyUnusable extends Error {
  override readonly name = 'OperatorKeyUnusable';
}

export class OperatorKey {
  readonly kept_as: 'hmac' | 'argon2id';
  private readonly salt = randomBytes(SALT_BYTES);
  private readonly digest: Buffer;

  constructor(
    key: string,
    private readonly pepper: Buffer,
  ) {
    if (PUBLISHED.includes(key))
      throw new OperatorKeyUnusable('the operator key is one that is published: choose another');
    if (key.length < LENGTH_MIN)
      throw new OperatorKeyUnusable(`the operator key has fewer than ${LENGTH_MIN} characters`);
    this.kept_as = MADE_AT_RANDOM.test(key) ? 'hmac' : 'argon2id';
    this.digest = this.kept_as === 'hmac' ? this.hmacOf(key) : argon2Sync('argon2id', this.argon2Of(key));
  }

  async matches(candidate: string): Promise<boolean> {
    if (candidate.length > LENGTH_MAX) return false;
    // Both are looked at every time, so that the time taken says nothing.
    const published = PUBLISHED.includes(candidate);
    const digest =
      this.kept_as === 'hmac' ? this.hmacOf(candidate) : await stretched('argon2id', this.argon2Of(candidate));
    return timingSafeEqual(digest, this.digest) && !published;
  }

  private hmacOf(key: string): Buffer {
    return createHmac('sha256', this.pepper).update(key, 'utf8').digest();
  }

  private argon2Of(key: string): Argon2Parameters {
    return { message: key, nonce: this.salt, secret: this.pepper, ...ARGON2 };
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
