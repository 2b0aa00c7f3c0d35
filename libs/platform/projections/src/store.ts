// Store: the rows that a batch of commits changes.
//
//   S1. Rows are folded in memory and written with one statement per table and batch.
//   S2. What a failed batch has changed is forgotten; what a committed one has written is kept at hand, so that the
//       fold seldom reads.
//   S3. A row is replaced, never changed in place: what was handed out stays as it was.

import { LRUCache } from 'lru-cache';
import { columnArray, type Column } from './column-arrays.js';
import type { Row, Sql } from './database.js';

export type TableDefinition = Readonly<{
  /** With its schema: `mission.mission_view`. */
  name: string;
  key: readonly [string, ...string[]];
  /** How many rows are kept at hand. @default 512 */
  cached_max?: number;
}>;

/** Enough for what is in motion; what rests is read again when something happens to it. */
const CACHED_MAX = 512;
const NAME = /^[a-z_]+\.[a-z_]+$/;
const COLUMN = /^[a-z_][a-z0-9_]*$/;

/** Values of the key columns, in their order. */
export type Key = readonly (string | number)[];
type Change = Row | undefined;
/** Takes a parameter of a statement and returns what it is called there: `$3`. */
export type Place = (parameter: unknown) => string;

const keyText = (key: Key): string => (key.length === 1 ? String(key[0]) : JSON.stringify(key));

/** What one batch makes of one table. Removed rows are told by their keys alone. */
export type Pending = Readonly<{ table: Table; rows: readonly Row[]; removed: readonly Row[] }>;

/** One table during one batch. */
export class TableStore {
  /** What was read for this batch: kept here too, because the cache may let go of any row at any time. */
  private readonly read = new Map<string, Change>();
  private readonly changes = new Map<string, Readonly<{ key: Key; row: Change }>>();

  constructor(
    private readonly table: Table,
    private readonly sql: Sql,
  ) {}

  /** The row with these key values; undefined when there is none. */
  async get(...key: Key): Promise<Row | undefined> {
    const text = keyText(key);
    const change = this.changes.get(text);
    if (change) return change.row;
    await this.load([key]);
    return this.read.get(text);
  }

  /** Fetches many rows at once, where a batch knows which it will need. */
  async load(keys: readonly Key[]): Promise<void> {
    const missing = new Map<string, Key>();
    for (const key of keys) {
      const text = keyText(key);
      if (this.changes.has(text) || this.read.has(text)) continue;
      if (this.table.holds(text)) this.read.set(text, this.table.cached(text));
      else missing.set(text, key);
    }
    if (missing.size === 0) return;
    const found = await this.table.fetch(this.sql, [...missing.values()]);
    for (const text of missing.keys()) this.read.set(text, found.get(text));
  }

  put(row: Row): void {
    const key = this.table.keyOf(row);
    this.changes.set(keyText(key), { key, row });
  }

  remove(...key: Key): void {
    this.changes.set(keyText(key), { key, row: undefined });
  }

  /** What has to be written; undefined when nothing has. */
  pending(): Pending | undefined {
    if (this.changes.size === 0) return undefined;
    const changes = [...this.changes.values()];
    return {
      table: this.table,
      rows: changes.flatMap(({ row }) => (row ? [row] : [])),
      removed: changes.flatMap(({ key, row }) => (row ? [] : [this.table.keyRow(key)])),
    };
  }

  /** How many rows it keeps. */
  get size(): number {
    return this.changes.size + this.read.size;
  }

  /** Once what was pending stands (S2). */
  keep(): void {
    for (const [text, row] of this.read) this.table.remember(text, row);
    for (const [text, { row }] of this.changes) this.table.remember(text, row);
  }
}

/** One table of one projection for as long as the process lives. */
export class Table {
  private readonly cache: LRUCache<string, Readonly<{ row: Change }>>;
  private columns: readonly Column[] | undefined;
  private readonly keys: string;

  constructor(private readonly definition: TableDefinition) {
    const { name, key, cached_max = CACHED_MAX } = definition;
    if (!NAME.test(name) || !key.every((column) => COLUMN.test(column)))
      throw new TypeError(`${name} (${key.join(', ')}) is not a table of ours`);
    this.cache = new LRUCache({ max: cached_max });
    this.keys = key.join(', ');
  }

  keyOf(row: Row): Key {
    return this.definition.key.map((column) => {
      const value = row[column];
      if (typeof value !== 'string' && typeof value !== 'number')
        throw new TypeError(`a row of ${this.definition.name} has no ${column}`);
      return value;
    });
  }

  holds(text: string): boolean {
    return this.cache.has(text);
  }

  cached(text: string): Change {
    return this.cache.get(text)?.row;
  }

  remember(text: string, row: Change): void {
    this.cache.set(text, { row });
  }

  forget(): void {
    this.cache.clear();
  }

  async fetch(sql: Sql, keys: readonly Key[]): Promise<ReadonlyMap<string, Row>> {
    const { name } = this.definition;
    const asked = keys.map((values) => this.keyRow(values));
    const { rows } = await sql.query(
      `select * from ${name} where (${this.keys}) in
         (select ${this.keys} from json_populate_recordset(null::${name}, $1::json))`,
      [JSON.stringify(asked)],
    );
    return new Map(rows.map((row) => [keyText(this.keyOf(row)), row]));
  }

  get name(): string {
    return this.definition.name;
  }

  keyRow(key: Key): Row {
    return Object.fromEntries(this.definition.key.map((column, index) => [column, key[index]]));
  }

  /** Inserts or replaces the rows where `condition` is true. `place` takes a parameter and says what it is called. */
  async upsertSql(sql: Sql, rows: readonly Row[], place: Place, condition: string): Promise<string> {
    this.columns ??= await this.readColumns(sql);
    const { columns } = this;
    const { name, key } = this.definition;
    const arrays = columns.map((column) => columnArray(column, rows));
    const list = columns.map((column) => `"${column.name}"`).join(', ');
    const values = columns.map((column, index) => `"${column.name}"${arrays[index]?.cast ?? ''}`).join(', ');
    const from = arrays.map(({ bytes, type }) => `${place(bytes)}::${type}[]`).join(', ');
    const others = columns.filter((column) => !key.includes(column.name));
    const changes = others.map((column) => `"${column.name}" = excluded."${column.name}"`).join(', ');
    return `insert into ${name} (${list})
      select ${values} from unnest(${from}) as given(${list}) where ${condition}
      on conflict (${this.keys}) do ${others.length > 0 ? `update set ${changes}` : 'nothing'}`;
  }

  removeSql(rows: readonly Row[], place: Place, condition: string): string {
    const { name } = this.definition;
    return `delete from ${name} where ${condition} and (${this.keys}) in
      (select ${this.keys} from json_populate_recordset(null::${name}, ${place(JSON.stringify(rows))}::json))`;
  }

  /**
   * Every column is written: a row holds what its events say and nothing that a default or a trigger adds. One that is
   * generated follows from the others.
   */
  private async readColumns(sql: Sql): Promise<readonly Column[]> {
    const { rows } = await sql.query<Column>(
      `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
      [this.definition.name],
    );
    return rows;
  }
}

/** What a projection works on during one batch. */
export class Store {
  private readonly open = new Map<string, TableStore>();

  constructor(
    private readonly tables: ReadonlyMap<string, Table>,
    private readonly sql: Sql,
  ) {}

  table(name: string): TableStore {
    const known = this.open.get(name);
    if (known) return known;
    const table = this.tables.get(name);
    if (!table) throw new TypeError(`this projection has no table ${name}`);
    const opened = new TableStore(table, this.sql);
    this.open.set(name, opened);
    return opened;
  }

  /** How many rows it keeps. */
  get size(): number {
    return [...this.open.values()].reduce((sum, table) => sum + table.size, 0);
  }

  /** In the order of the tables' names, so that two writers never wait for each other. */
  pending(): readonly Pending[] {
    const pending = [...this.open.values()].flatMap((table) => table.pending() ?? []);
    return pending.toSorted((a, b) => (a.table.name < b.table.name ? -1 : 1));
  }

  keep(): void {
    for (const table of this.open.values()) table.keep();
  }
}
