import { createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { testServers } from '@nexusmon/testing';
import pg from 'pg';
import { KeyDestroyed, Keyring, KeyUnreadable, type SqlExecutor } from './keyring.js';

type ContextSecrets = Readonly<{ database_user: string; database_password: string }>;

// Before the servers are asked for: clean-up runs in this order, and PostgreSQL must be there for the pool's end.
afterAll(() => pool.end());
const servers = await testServers();
const secrets = JSON.parse(readFileSync(join(servers.secrets_dir, 'mission.json'), 'utf8')) as ContextSecrets;
const { hostname, port, pathname } = new URL(servers.database_url);
const pool = new pg.Pool({
  host: hostname,
  port: Number(port),
  database: pathname.slice(1),
  user: secrets.database_user,
  password: secrets.database_password,
});
const queries: string[] = [];
const sql: SqlExecutor = {
  query: (text, parameters) => {
    queries.push(text);
    return pool.query(text, [...parameters]);
  },
};
const wrap_key = createSecretKey(randomBytes(32));
const ring = (changes: object = {}) => new Keyring({ sql, wrap_key, ...changes });
const secretOf = async (keyring: Keyring, key_id: string) => (await keyring.get(key_id))?.export().toString('hex');

describe('a data key', () => {
  it('is the same in every process that has the wrapping key, and nowhere open', async () => {
    const key_id = await ring().take();
    const secret = await secretOf(ring(), key_id);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    const { rows } = await pool.query<{ wrapped: string }>('select * from keys.data_key where key_id = $1', [key_id]);
    expect(Buffer.from(rows[0]?.wrapped ?? '', 'base64url').toString('hex')).not.toContain(secret);
  });

  it('is handed out once, and never before its row is committed (K1)', async () => {
    const keyring = ring({ pool_size: 8 });
    const taken = await Promise.all(Array.from({ length: 50 }, () => keyring.take()));
    expect(new Set(taken).size).toBe(50);
    const { rows } = await pool.query<{ count: number }>(
      'select count(*)::int as count from keys.data_key where key_id = any($1)',
      [taken],
    );
    expect(rows[0]?.count).toBe(50);
  });

  it('is inserted ahead, many with one statement', async () => {
    const keyring = ring();
    await keyring.take();
    queries.length = 0;
    for (let index = 0; index < 20; index += 1) await keyring.take();
    expect(queries).toEqual([]);
  });

  it('is looked up together with those that are missed in the same moment', async () => {
    const keyring = ring();
    const taken = await Promise.all(Array.from({ length: 30 }, () => keyring.take()));
    const other = ring();
    queries.length = 0;
    const found = await Promise.all([...taken, ...taken].map((key_id) => other.get(key_id)));
    expect(found.every(Boolean)).toBe(true);
    expect(queries).toHaveLength(1);
  });

  it('of an owner is one for as long as it lives, also when two ask at once', async () => {
    const owner = `operator:${randomBytes(4).toString('hex')}`;
    const key_ids = await Promise.all([ring().forOwner(owner), ring().forOwner(owner), ring().forOwner(owner)]);
    expect(new Set(key_ids).size).toBe(1);
    expect(await ring().get(key_ids[0] ?? '')).toBeDefined();
  });

  it('stays destroyed (K2)', async () => {
    const keyring = ring();
    const owner = `operator:${randomBytes(4).toString('hex')}`;
    const key_id = await keyring.forOwner(owner);
    await keyring.destroy(key_id);
    expect(await keyring.get(key_id)).toBeUndefined();
    expect(await ring().get(key_id)).toBeUndefined();
    await expect(ring().forOwner(owner)).rejects.toThrow(KeyDestroyed);
    expect(await ring().get('key_unheard_of')).toBeUndefined();
  });

  it('that another master secret wrapped is a fault, not an erasure', async () => {
    const key_id = await ring().take();
    const stranger = ring({ wrap_key: createSecretKey(randomBytes(32)) });
    await expect(stranger.get(key_id)).rejects.toThrow(KeyUnreadable);
    expect(() => ring({ wrap_key: createSecretKey(randomBytes(16)) })).toThrow(RangeError);
  });

  it('is not handed out while there is no database, and is again when there is one', async () => {
    let down = true;
    const flaky: SqlExecutor = {
      query: (text, parameters) => (down ? Promise.reject(new Error('no database')) : sql.query(text, parameters)),
    };
    const keyring = ring({ sql: flaky });
    await expect(keyring.take()).rejects.toThrow('no database');
    down = false;
    expect(await keyring.take()).toMatch(/^key_/);
  });
});
