// Keyring
//
// Data keys for text that may one day have to be erased. Each is wrapped (AES-256-GCM) under one wrapping key and kept
// as a row; destroying the row's `wrapped` erases everything that was sealed under it, wherever copies of that lie.
//
//   K1. A key is handed out only after its row is committed: no text is ever sealed under a key that could be lost.
//   K2. A destroyed key stays destroyed: its row remains, blank, and nothing fills it again.
//   K3. Other processes forget a destroyed key within `CACHE_TTL_MS`.

import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { v7 } from 'uuid';

/** What the keyring needs of PostgreSQL; `pg` pools and clients have this shape. */
export interface SqlExecutor {
  query(sql: string, parameters: readonly unknown[]): Promise<{ rows: readonly Record<string, unknown>[] }>;
}

export type KeyringOptions = Readonly<{
  sql: SqlExecutor;
  /** 32 bytes, derived from the master secret. */
  wrap_key: KeyObject;
  /** Keys inserted ahead at a time: an insert per mission would cost a millisecond each. @default 64 */
  pool_size?: number;
}>;

/** Where the rows live. Whoever migrates schema `keys` runs this; it may be run again. */
export const DATA_KEY_DDL = `
create schema if not exists keys;
create table if not exists keys.data_key (
  key_id text primary key,
  owner text unique,
  wrapped text,
  created_at timestamptz not null default now()
);`;

/** The row of a key that something was sealed under has gone or is blank. */
export class KeyDestroyed extends Error {
  override readonly name = 'KeyDestroyed';
  constructor(readonly key_id: string) {
    super(`data key ${key_id} has been destroyed`);
  }
}

/** A row that the wrapping key does not open: another master secret, or damage. */
export class KeyUnreadable extends Error {
  override readonly name = 'KeyUnreadable';
  constructor(
    readonly key_id: string,
    options?: ErrorOptions,
  ) {
    super(`data key ${key_id} cannot be unwrapped`, options);
  }
}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CACHE_KEYS_MAX = 4_000;
const CACHE_TTL_MS = 60_000;
const LOOKUP_KEYS_MAX = 1_000;

type Found = Readonly<{ key: KeyObject | undefined }>;
type Waiter = { resolve: (found: Found) => void; reject: (error: unknown) => void };

export class Keyring {
  private readonly sql: SqlExecutor;
  private readonly wrap_key: KeyObject;
  private readonly pool_size: number;
  private readonly pool: string[] = [];
  private refilling: Promise<void> | undefined;
  private failure: Readonly<{ error: unknown }> | undefined;
  private readonly cache = new LRUCache<string, Found>({ max: CACHE_KEYS_MAX, ttl: CACHE_TTL_MS });
  private readonly lookups = new Map<string, Promise<Found>>();
  private waiting = new Map<string, Waiter>();

  constructor({ sql, wrap_key, pool_size = 64 }: KeyringOptions) {
    if (wrap_key.symmetricKeySize !== KEY_BYTES) throw new RangeError(`a wrapping key has ${KEY_BYTES} bytes`);
    this.sql = sql;
    this.wrap_key = wrap_key;
    this.pool_size = pool_size;
  }

  /** A fresh key, nobody else's. Which thing it belongs to is said by that thing's events. */
  async take(): Promise<string> {
    for (;;) {
      const key_id = this.pool.pop();
      if (this.pool.length < this.pool_size / 2) this.refill();
      if (key_id !== undefined) return key_id;
      await this.refilling;
      const { failure } = this;
      this.failure = undefined;
      if (failure) throw failure.error;
    }
  }

  /** Undefined when the key has been destroyed. */
  async get(key_id: string): Promise<KeyObject | undefined> {
    return (this.cache.get(key_id) ?? (await this.lookup(key_id))).key;
  }

  /** The key if it is at hand; the reader who gets undefined asks `get`. */
  peek(key_id: string): Found | undefined {
    return this.cache.get(key_id);
  }

  /** One key for as long as the owner lives, such as an operator; made on first use. */
  async forOwner(owner: string): Promise<string> {
    for (;;) {
      const { rows } = await this.sql.query('select key_id, wrapped from keys.data_key where owner = $1', [owner]);
      const row = rows[0];
      if (row) {
        const key_id = String(row['key_id']);
        if (row['wrapped'] === null) throw new KeyDestroyed(key_id);
        return key_id;
      }
      const { key_id, wrapped } = this.make();
      await this.sql.query(
        'insert into keys.data_key (key_id, owner, wrapped) values ($1, $2, $3) on conflict (owner) do nothing',
        [key_id, owner, wrapped],
      );
    }
  }

  /** Erases everything sealed under the key, for good (K2). */
  async destroy(key_id: string): Promise<void> {
    await this.sql.query('update keys.data_key set wrapped = null where key_id = $1', [key_id]);
    this.cache.set(key_id, { key: undefined });
  }

  private refill(): void {
    this.refilling ??= this.insertMany()
      // Nobody may be waiting: the failure is kept for whoever next finds the pool empty.
      .catch((error: unknown) => (this.failure = { error }))
      .finally(() => (this.refilling = undefined))
      .then(() => undefined);
  }

  private async insertMany(): Promise<void> {
    const made = Array.from({ length: this.pool_size }, () => this.make());
    const places = made.map((_, index) => `($${index * 2 + 1}, $${index * 2 + 2})`).join(', ');
    await this.sql.query(
      `insert into keys.data_key (key_id, wrapped) values ${places}`,
      made.flatMap(({ key_id, wrapped }) => [key_id, wrapped]),
    );
    for (const { key_id, key } of made) this.cache.set(key_id, { key });
    this.pool.push(...made.map(({ key_id }) => key_id));
  }

  private make(): { key_id: string; key: KeyObject; wrapped: string } {
    const key_id = `key_${v7()}`;
    const secret = randomBytes(KEY_BYTES);
    const wrapped = this.wrap(key_id, secret);
    return { key_id, key: createSecretKey(secret), wrapped };
  }

  private wrap(key_id: string, secret: Buffer): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.wrap_key, nonce).setAAD(Buffer.from(key_id));
    const text = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    return text.toString('base64url');
  }

  private unwrap(key_id: string, wrapped: unknown): KeyObject {
    try {
      if (typeof wrapped !== 'string') throw new TypeError(`keys.data_key.wrapped is ${typeof wrapped}, not text`);
      const text = Buffer.from(wrapped, 'base64url');
      const decipher = createDecipheriv(CIPHER, this.wrap_key, text.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(key_id)).setAuthTag(text.subarray(-TAG_BYTES));
      const secret = Buffer.concat([decipher.update(text.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      return createSecretKey(secret);
    } catch (cause) {
      throw new KeyUnreadable(key_id, { cause });
    }
  }

  /** Lookups of one tick become one query: a rebuild meets thousands of keys. */
  private lookup(key_id: string): Promise<Found> {
    const known = this.lookups.get(key_id);
    if (known) return known;
    const lookup = new Promise<Found>((resolve, reject) => {
      if (this.waiting.size === 0) setImmediate(() => void this.answer());
      this.waiting.set(key_id, { resolve, reject });
    }).finally(() => this.lookups.delete(key_id));
    this.lookups.set(key_id, lookup);
    return lookup;
  }

  private async answer(): Promise<void> {
    const asked = [...this.waiting];
    this.waiting = new Map();
    for (let start = 0; start < asked.length; start += LOOKUP_KEYS_MAX)
      await this.answerSome(asked.slice(start, start + LOOKUP_KEYS_MAX));
  }

  private async answerSome(asked: readonly (readonly [string, Waiter])[]): Promise<void> {
    try {
      const { rows } = await this.sql.query('select key_id, wrapped from keys.data_key where key_id = any($1)', [
        asked.map(([key_id]) => key_id),
      ]);
      const wrapped = new Map(rows.map((row) => [row['key_id'], row['wrapped']]));
      for (const [key_id, waiter] of asked) this.settle(key_id, wrapped.get(key_id), waiter);
    } catch (error) {
      for (const [, waiter] of asked) waiter.reject(error);
    }
  }

  private settle(key_id: string, wrapped: unknown, { resolve, reject }: Waiter): void {
    try {
      // Only a row that is gone or blank means destroyed: anything else that does not unwrap is a fault.
      const destroyed = wrapped === undefined || wrapped === null;
      const found = { key: destroyed ? undefined : this.unwrap(key_id, wrapped) };
      this.cache.set(key_id, found);
      resolve(found);
    } catch (error) {
      reject(error);
    }
  }
}
