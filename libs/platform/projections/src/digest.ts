import type { Sql } from './database.js';

const NAME = /^[a-z_]+\.[a-z_]+$/;

export type TableDigest = Readonly<{ rows: number; digest: string }>;

/**
 * SHA-256 over the rows of a table in the order of their keys: the same rows give the same digest, wherever and
 * whenever they were made. To be compared at the same checkpoint. `skip` leaves columns out. Each row is hashed by
 * itself first: PostgreSQL can hold the hashes of more rows at once than it could hold rows.
 */
export const readDigest = async (
  sql: Sql,
  table: string,
  key: readonly string[],
  skip: readonly string[] = [],
): Promise<TableDigest> => {
  if (!NAME.test(table)) throw new TypeError(`${table} is not a table of ours`);
  const order = key.map((column) => `t."${column}"::text collate "C"`).join(', ');
  const { rows } = await sql.query<{ rows: string; digest: string }>(
    `select count(*) as rows, encode(sha256(coalesce(string_agg(
         sha256(convert_to((to_jsonb(t) - $1::text[])::text, 'UTF8')), ''::bytea order by ${order}), ''::bytea)),
       'hex') as digest from ${table} t`,
    [skip],
  );
  return { rows: Number(rows[0]?.rows), digest: rows[0]?.digest ?? '' };
};

export const digestTable = async (...parameters: Parameters<typeof readDigest>): Promise<string> =>
  (await readDigest(...parameters)).digest;
