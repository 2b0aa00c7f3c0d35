import type { Sql } from './database.js';

const NAME = /^[a-z_]+\.[a-z_]+$/;

/**
 * SHA-256 over the rows of a table in the order of their keys: the same rows give the same digest, wherever and
 * whenever they were made. To be compared at the same checkpoint. `skip` leaves columns out.
 */
export const digestTable = async (
  sql: Sql,
  table: string,
  key: readonly string[],
  skip: readonly string[] = [],
): Promise<string> => {
  if (!NAME.test(table)) throw new TypeError(`${table} is not a table of ours`);
  const order = key.map((column) => `t."${column}" collate "C"`).join(', ');
  const { rows } = await sql.query<{ digest: string }>(
    `select encode(sha256(convert_to(coalesce(string_agg((to_jsonb(t) - $1::text[])::text, E'\\n' order by ${order}), ''),
       'UTF8')), 'hex') as digest from ${table} t`,
    [skip],
  );
  return rows[0]?.digest ?? '';
};
