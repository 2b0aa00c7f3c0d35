// Shadow: one projection's tables as they are being built again, beside those in force.
//
//   W1. Only the run that is entered in `<context>.rebuild` writes: who was overtaken writes nothing more.
//   W2. Rows are folded in memory and written when there are many: most of them once.
//   W3. Memory is bounded by the number of rows and by the bytes of the log that they came from.

import type { Database } from './database.js';
import type { OpenCommit, Projection } from './projection.js';
import { shadowSchema } from './shadow-migration.js';
import { Store, Table, type Pending, type Place } from './store.js';

const ROWS_MAX = 1_000;
const LOG_BYTES_MAX = 24 * 1024 * 1024;
/** What is being written stays at hand: it cannot be read back before it stands. More than that is waited for. */
const CACHED_MAX = 2 * ROWS_MAX;
const WRITTEN_AT_ONCE = 128;
const OK = '(select ok from guard)';

export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** `mission.mission_view` → `mission_view` */
export const bareName = (table: string): string => table.slice(table.indexOf('.') + 1);

export class Shadow {
  private readonly tables: ReadonlyMap<string, Table>;
  private store: Store;
  private bytes = 0;
  private writing: Promise<void> = Promise.resolve();
  private failure: Readonly<{ error: unknown }> | undefined;

  constructor(
    private readonly projection: Projection,
    private readonly run_id: string,
    private readonly database: Database,
  ) {
    const { context, tables } = projection;
    const make = (name: string) => `${shadowSchema(context)}.${bareName(name)}`;
    this.tables = new Map(
      tables.map((definition) => [
        definition.name,
        new Table({ ...definition, name: make(definition.name), cached_max: CACHED_MAX }),
      ]),
    );
    this.store = new Store(this.tables, database);
  }

  /** The tables' names without their schema, in the order in which they are locked. */
  get names(): string[] {
    return this.projection.tables.map(({ name }) => bareName(name)).toSorted();
  }

  async fold(commits: readonly OpenCommit[]): Promise<void> {
    await this.projection.on(commits, this.store);
    for (const { commit } of commits) this.bytes += commit.raw.length;
    if (this.bytes > LOG_BYTES_MAX || this.store.size > ROWS_MAX) await this.beginWrite();
  }

  /** All that was folded is in the tables. */
  async flush(): Promise<void> {
    await this.beginWrite();
    await this.written();
  }

  /** While these rows are written, the next are folded. */
  private async beginWrite(): Promise<void> {
    await this.written();
    const { size } = this.store;
    const pending = this.store.pending();
    this.store.keep();
    this.store = new Store(this.tables, this.database);
    this.bytes = 0;
    this.writing = this.write(pending).catch((error: unknown) => {
      this.failure = { error };
    });
    if (size > CACHED_MAX) await this.written();
  }

  /** What failed while others were folded is told to whoever waits next. */
  private async written(): Promise<void> {
    await this.writing;
    if (this.failure) throw this.failure.error;
  }

  private async write(pending: readonly Pending[]): Promise<void> {
    for (const { table, rows, removed } of pending) {
      for (let from = 0; from < rows.length; from += WRITTEN_AT_ONCE) {
        const some = rows.slice(from, from + WRITTEN_AT_ONCE);
        await this.run((place) => table.upsertSql(this.database, some, place, OK));
      }
      if (removed.length > 0) await this.run((place) => table.removeSql(removed, place, OK));
    }
  }

  private async run(changeSql: (place: Place) => string | Promise<string>): Promise<void> {
    const { name, context } = this.projection;
    const parameters: unknown[] = [name, this.run_id];
    const change = await changeSql((parameter) => `$${parameters.push(parameter)}`);
    const { rows } = await this.database.prepared<{ ok: boolean }>(
      `with guard as (select exists (
         select from ${context}.rebuild where name = $1 and run_id = $2) as ok),
       change as (${change})
       select ok from guard`,
      parameters,
    );
    if (rows[0]?.ok !== true) throw new Overtaken(`another rebuild of ${name} has begun`);
  }
}
