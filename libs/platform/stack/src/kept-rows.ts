// The rows of PostgreSQL that nothing else can give back: wrapped data keys, and how far reactors have come. All others
// are views, which are made again from the log, or notes about what is under way.
//
//   R1. How far a reactor had come is read before the log is: then the log has all that it had seen, and what it did
//       since it is given again, as after a crash.
//   R2. Keys are read after the log: then every key that it names is there, and one that was destroyed is blank.

import type pg from 'pg';
import { KEYS_FILE, linesOf, PartWriter, REACTORS_FILE, type Part } from './backup-folder.js';

const REACTOR_NAMES = 'reactor:%';
const BATCH = 500;

type ReactorRow = Readonly<{ schema: string; name: string; stream: number; sequence: number; hash: string }>;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const checkpointSchemas = async (client: pg.Client): Promise<string[]> => {
  const { rows } = await client.query<{ schema: string }>(
    `select table_schema as schema from information_schema.tables where table_name = 'checkpoint' order by 1`,
  );
  return rows.map(({ schema }) => schema);
};

/** R1 */
export const keepReactors = async (client: pg.Client, folder: string): Promise<Part> => {
  const part = new PartWriter(folder, REACTORS_FILE);
  for (const schema of await checkpointSchemas(client)) {
    const { rows } = await client.query<Omit<ReactorRow, 'schema' | 'sequence'> & { sequence: string }>(
      `select name, stream, sequence, hash from ${quoted(schema)}.checkpoint where name like $1 order by 1, 2`,
      [REACTOR_NAMES],
    );
    for (const { sequence, ...row } of rows) part.write({ schema, ...row, sequence: Number(sequence) });
  }
  return part.end();
};

/** R2 */
export const keepKeys = async (client: pg.Client, folder: string): Promise<Part> => {
  const part = new PartWriter(folder, KEYS_FILE);
  for (let after = ''; ;) {
    const { rows } = await client.query<{ key_id: string }>(
      `select key_id, owner, wrapped, created_at::text from keys.data_key where key_id > $1
       order by key_id limit ${BATCH}`,
      [after],
    );
    for (const row of rows) part.write(row);
    after = rows.at(-1)?.key_id ?? '';
    if (rows.length < BATCH) return part.end();
  }
};

const inBatches = async (lines: AsyncIterable<unknown>, put: (rows: unknown[]) => Promise<unknown>): Promise<void> => {
  let rows: unknown[] = [];
  for await (const line of lines) {
    rows.push(line);
    if (rows.length < BATCH) continue;
    await put(rows);
    rows = [];
  }
  if (rows.length > 0) await put(rows);
};

export const putKeysBack = (client: pg.Client, folder: string): Promise<void> =>
  inBatches(linesOf(folder, KEYS_FILE), (rows) =>
    client.query(
      `insert into keys.data_key (key_id, owner, wrapped, created_at)
       select * from json_to_recordset($1::json) as r(key_id text, owner text, wrapped text, created_at timestamptz)`,
      [JSON.stringify(rows)],
    ),
  );

/** After the log: reactors go on in the streams as they are now, by number. */
export const putReactorsBack = async (
  client: pg.Client,
  folder: string,
  incarnations: readonly string[],
): Promise<void> => {
  for await (const line of linesOf(folder, REACTORS_FILE)) {
    const { schema, name, stream, sequence, hash } = line as ReactorRow;
    await client.query(
      `insert into ${quoted(schema)}.checkpoint (name, stream, incarnation, sequence, hash) values ($1, $2, $3, $4, $5)`,
      [name, stream, incarnations[stream], sequence, hash],
    );
  }
};

/** How far each stream was read by anybody who wrote it down, as that instance knew the stream. */
export const farthestRead = async (
  client: pg.Client,
): Promise<readonly Readonly<{ stream: number; incarnation: string; sequence: number }>[]> => {
  const farthest = (await checkpointSchemas(client)).map(
    (schema) => `select stream, incarnation, sequence from ${quoted(schema)}.checkpoint`,
  );
  const { rows } = await client.query<{ stream: number; incarnation: string; sequence: string }>(
    `select stream, incarnation, max(sequence) as sequence from (${farthest.join(' union all ')}) all_of_them
     group by stream, incarnation`,
  );
  return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }));
};
