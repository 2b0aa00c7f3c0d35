// Store: the rows that a batch of commits changes.
//
//   S1. Rows are folded in memory and written with one statement per table and batch.
//   S2. What a failed batch has changed is forgotten; what a committed one has written is kept at hand, so that the
//       fold seldom reads.
//   S3. A row is replaced, never changed in place: what was handed out stays as it was.

import { LRUCache } from 'lru-cache';
import type { Row, Sql } from './database.js';

export type TableDefinition = Readonly<{
  /** With its schema: `mission.mission_view`. */
  name: string;
  key: readonly [string, ...string[]];
  /** How many rows are kept at hand. @default 2000 */
  cached_max?: number;
}>;

const CACHED_MAX = 2_000;
const NAME = /^[a-z_]+\.[a-z_]+$/;
const COLUMN = /^[a-z_][a-z0-9_]*$/;

/** Values of the key columns, in their order. */
export type Key = readonly (string | number)[];
type Change = Row | undefined;

const keyText = (key: Key): string => (key.length === 1 ? String(key[0]) : JSON.stringify(key));

/** One table during one batch. */
export class TableStore {
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
    return this.table.cached(text);
  }

  /** Fetches many rows at once, where a batch knows which it will need. */
  async load(keys: readonly Key[]): Promise<void> {
    const missing = new Map(
      keys
        .map((key) => [keyText(key), key] as const)
        .filter(([text]) => !this.changes.has(text) && !this.table.holds(text)),
    );
    if (missing.size > 0) await this.table.fetch(this.sql, [...missing.values()]);
  }

  put(row: Row): void {
    const key = this.table.keyOf(row);
    this.changes.set(keyText(key), { key, row });
  }

  remove(...key: Key): void {
    this.changes.set(keyText(key), { key, row: undefined });
  }

  async write(): Promise<void> {
    const rows = [...this.changes.values()].flatMap(({ row }) => (row ? [row] : []));
    const removed = [...this.changes.values()].flatMap(({ key, row }) => (row ? [] : [key]));
    if (rows.length > 0) await this.table.upsert(this.sql, rows);
    if (removed.length > 0) await this.table.remove(this.sql, removed);
  }

  /** Once the transaction stands (S2). */
  keep(): void {
    for (const [text, { row }] of this.changes) this.table.remember(text, row);
  }
}

/** One table of one projection for as long as the process lives. */
export class Table {
  private readonly cache: LRUCache<string, Readonly<{ row: Change }>>;
  private upsertSql: string | undefined;
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

  async fetch(sql: Sql, keys: readonly Key[]): Promise<void> {
    const { name, key } = this.definition;
    const asked = keys.map((values) => Object.fromEntries(key.map((column, index) => [column, values[index]])));
    const { rows } = await sql.query(
      `select * from ${name} where (${this.keys}) in
         (select ${this.keys} from json_populate_recordset(null::${name}, $1::json))`,
      [JSON.stringify(asked)],
    );
    const found = new Map(rows.map((row) => [keyText(this.keyOf(row)), row]));
    for (const values of keys) this.remember(keyText(values), found.get(keyText(values)));
  }

  async upsert(sql: Sql, rows: readonly Row[]): Promise<void> {
    this.upsertSql ??= await this.upsertStatement(sql);
    await sql.query(this.upsertSql, [JSON.stringify(rows)]);
  }

  async remove(sql: Sql, keys: readonly Key[]): Promise<void> {
    const { name, key } = this.definition;
    const gone = keys.map((values) => Object.fromEntries(key.map((column, index) => [column, values[index]])));
    await sql.query(
      `delete from ${name} where (${this.keys}) in
         (select ${this.keys} from json_populate_recordset(null::${name}, $1::json))`,
      [JSON.stringify(gone)],
    );
  }

  /** Every column is written: a row holds what its events say and nothing that a default or a trigger adds. */
  private async upsertStatement(sql: Sql): Promise<string> {
    const { name, key } = this.definition;
    const { rows } = await sql.query<{ attname: string }>(
      `select attname from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
      [name],
    );
    const columns = rows.map(({ attname }) => attname);
    const others = columns.filter((column) => !key.includes(column));
    const list = columns.map((column) => `"${column}"`).join(', ');
    const changes = others.map((column) => `"${column}" = excluded."${column}"`).join(', ');
    return `insert into ${name} (${list})
      select ${list} from json_populate_recordset(null::${name}, $1::json)
      on conflict (${this.keys}) do ${others.length > 0 ? `update set ${changes}` : 'nothing'}`;
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

  async write(): Promise<void> {
    for (const table of this.open.values()) await table.write();
  }

  keep(): void {
    for (const table of this.open.values()) table.keep();
  }
}
