// One statement for all that a batch leaves behind: rows written and removed, and the checkpoint moved. One round trip,
// one commit, and no transaction that could be left open.

import type { Checkpoints, Reached } from './checkpoint.js';
import type { Database } from './database.js';
import type { Pending } from './store.js';

/** `before` and `generation` are where this process believes the checkpoint to be. */
export type Move = Reached & Readonly<{ before: number; generation: number }>;

const OK = '(select ok from guard)';

/**
 * False when the checkpoint is not where it is believed to be, in one stream at least: then nothing was written. The
 * rows of the checkpoint are locked first, so that of two writers the second sees what the first has done.
 */
export const writeBatch = async (
  database: Database,
  { schema, name }: Checkpoints,
  moves: readonly Move[],
  pending: readonly Pending[],
): Promise<boolean> => {
  const parameters: unknown[] = [name, JSON.stringify(moves)];
  const parts: string[] = [];
  const place = (parameter: unknown): string => `$${parameters.push(parameter)}`;
  for (const { table, rows, removed } of pending) {
    if (rows.length > 0) parts.push(await table.upsertSql(database, rows, place, OK));
    if (removed.length > 0) parts.push(table.removeSql(removed, place, OK));
  }
  const changes = parts.map((part, index) => `, change_${index} as (${part})`).join('');
  const { rows } = await database.prepared<{ ok: boolean }>(
    `with move as (select * from json_to_recordset($2::json)
       as m(stream integer, incarnation text, before bigint, generation integer, sequence bigint, hash text)),
     locked as (select c.stream from ${schema}.checkpoint c join move m on c.stream = m.stream
       where c.name = $1 and c.incarnation = m.incarnation and c.sequence = m.before and c.generation = m.generation
       for update of c),
     guard as (select count(*) = (select count(*) from move) as ok from locked),
     moved as (update ${schema}.checkpoint c set sequence = m.sequence, hash = m.hash from move m
       where c.name = $1 and c.stream = m.stream and ${OK})${changes}
     select ok from guard`,
    parameters,
  );
  return rows[0]?.ok === true;
};
