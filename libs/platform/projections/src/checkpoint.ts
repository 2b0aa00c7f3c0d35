// How far somebody has read, kept in the same transaction as what was made of it.

import type { Checkpoint } from '@nexusmon/event-log';
import { streamName } from '@nexusmon/event-log';
import type { Sql } from './database.js';

export type Reached = Readonly<{ stream: number; incarnation: string; sequence: number; hash: string }>;
/** As it stands in the database. `generation` counts how often its tables were swapped for others. */
export type Standing = Reached & Readonly<{ generation: number }>;

/** For a context's first migration. */
export const checkpointDdl = (schema: string): string => `
create table if not exists ${schema}.checkpoint (
  name text not null,
  stream integer not null,
  incarnation text not null,
  sequence bigint not null,
  hash text not null,
  primary key (name, stream)
);`;

type CheckpointRow = Omit<Standing, 'sequence'> & { sequence: string | number };

export class Checkpoints {
  constructor(
    readonly schema: string,
    readonly name: string,
  ) {}

  async read(sql: Sql, lock: '' | 'for update' = ''): Promise<readonly Standing[]> {
    const { rows } = await sql.query<CheckpointRow>(
      `select stream, incarnation, sequence, hash, generation
       from ${this.schema}.checkpoint where name = $1 order by stream ${lock}`,
      [this.name],
    );
    return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }));
  }

  /** Makes the rows that are missing: nothing read yet. */
  async begin(sql: Sql, streams: readonly Readonly<{ number: number; incarnation: string }>[]): Promise<void> {
    for (const { number, incarnation } of streams)
      await sql.query(
        `insert into ${this.schema}.checkpoint (name, stream, incarnation, sequence, hash)
         values ($1, $2, $3, 0, '') on conflict do nothing`,
        [this.name, number, incarnation],
      );
  }

  /** What was made beside it takes its place: everybody who still holds rows of before finds out by the generation. */
  async replace(sql: Sql, to: readonly Reached[]): Promise<void> {
    await sql.query(
      `update ${this.schema}.checkpoint c
       set incarnation = m.incarnation, sequence = m.sequence, hash = m.hash, generation = c.generation + 1
       from json_to_recordset($2::json) as m(stream integer, incarnation text, sequence bigint, hash text)
       where c.name = $1 and c.stream = m.stream`,
      [this.name, JSON.stringify(to)],
    );
  }

  /** Moves forward to at least there; where several processes do the same work, the farthest counts. */
  async raise(sql: Sql, to: Reached): Promise<void> {
    await sql.query(
      `update ${this.schema}.checkpoint set sequence = $4, hash = $5
       where name = $1 and stream = $2 and incarnation = $3 and sequence < $4`,
      [this.name, to.stream, to.incarnation, to.sequence, to.hash],
    );
  }

  /** In the form in which the event log compares them with itself. */
  asFound(reached: readonly Reached[]): Checkpoint[] {
    return reached.map(({ stream, ...rest }) => ({ name: this.name, stream: streamName(stream), ...rest }));
  }
}
