// Database
//
// One context's way to PostgreSQL: its own role, its own few connections. Statements go to the driver with bound
// parameters: MikroORM's own `execute` writes them into the text, which costs the hot path dear.
//
//   D1. A statement that failed because PostgreSQL was away throws `Unavailable`; nothing else does.
//   D2. A transaction whose work threw is rolled back; when its end is unknown, `Unavailable` says so and no more.
//   D3. The pool comes back by itself after PostgreSQL has been away.

import {
  MikroORM,
  type AnyEntity,
  type EntityName,
  type Options,
  type PostgreSqlConnection,
} from '@mikro-orm/postgresql';
import { Unavailable } from '@nexusmon/messaging';
import type { Logger } from '@nexusmon/telemetry';

export type Row = Record<string, unknown>;
export type Result<Found = Row> = Readonly<{ rows: Found[]; count: number }>;

/** What runs statements: the database itself, or one transaction of it. */
export interface Sql {
  query<Found extends Row = Row>(sql: string, parameters?: readonly unknown[]): Promise<Result<Found>>;
}

export type DatabaseOptions = Readonly<{
  /** Without credentials. */
  url: string;
  user: string;
  password: string;
  connections_max: number;
  /** Shown by PostgreSQL beside each connection. */
  name: string;
  entities?: readonly EntityName<AnyEntity>[];
  /** Told of connections that were dropped. */
  log?: Logger;
  /** @default 30 s */
  statement_timeout_ms?: number;
}>;

/** What is used of `pg`, which ships no types. */
type Answer<Found> = { rows: Found[]; rowCount: number | null };
export interface Client {
  query<Found>(sql: string, parameters?: readonly unknown[]): Promise<Answer<Found>>;
  release(fault?: Error): void;
}
export interface Pool {
  query<Found>(sql: string, parameters: readonly unknown[]): Promise<Answer<Found>>;
  query<Found>(prepared: Readonly<{ name: string; text: string; values: readonly unknown[] }>): Promise<Answer<Found>>;
  connect(): Promise<Client>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** Each connection is a process of PostgreSQL's with some megabytes of its own. */
const IDLE_TIMEOUT_MS = 10_000;

/** Connection faults, shutting down, starting up, too many connections, out of memory or disk. */
const AWAY = /^(08|53|57P)/;
/** Deadlock, serialization, lock not available: gone when tried again. */
const TRANSIENT = /^(40|55P03|57014)/;
const AWAY_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT']);
/** What `pg` says without a code. */
const AWAY_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/;

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

const isAway = (error: unknown): boolean => {
  const code = codeOf(error);
  if (AWAY.test(code) || AWAY_CODES.has(code)) return true;
  return error instanceof Error && AWAY_MESSAGES.test(error.message);
};

/** Worth trying again as it is. */
export const isPassing = (error: unknown): boolean => error instanceof Unavailable || TRANSIENT.test(codeOf(error));

const translate = (error: unknown): unknown => {
  if (!isAway(error)) return error;
  return new Unavailable('postgres', error instanceof Error ? error.message : String(error), { cause: error });
};

const withCredentials = (url: string, user: string, password: string): string => {
  const full = new URL(url);
  full.username = encodeURIComponent(user);
  full.password = encodeURIComponent(password);
  return full.toString();
};

export const mikroOptions = ({
  url,
  user,
  password,
  connections_max,
  name,
  entities = [],
  log,
  statement_timeout_ms = STATEMENT_TIMEOUT_MS,
}: DatabaseOptions) =>
  ({
    clientUrl: withCredentials(url, user, password),
    entities: [...entities],
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: connections_max, idleTimeoutMillis: IDLE_TIMEOUT_MS },
    driverOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: statement_timeout_ms,
      application_name: `nexusmon ${name}`,
      keepAlive: true,
    },
    debug: false,
    // A dropped connection is told here and by the statement that was running on it.
    logger: (message: string) => log?.debug({ msg: 'mikro-orm', message, database: name }),
    allowGlobalContext: false,
  }) satisfies Options;

/** Injectable: the class is its own token. */
export class Database implements Sql {
  /** Of the prepared statements: as many as there are places that prepare one. */
  private readonly names = new Map<string, string>();

  private constructor(
    readonly orm: MikroORM,
    private readonly connection: PostgreSqlConnection,
    private readonly options: DatabaseOptions,
  ) {}

  /** Connects with the first statement: a process may start before PostgreSQL is there. */
  static async open(options: DatabaseOptions): Promise<Database> {
    const orm = await MikroORM.init({ ...mikroOptions(options), connect: false } as Options);
    return new Database(orm, orm.em.getDriver().getConnection(), options);
  }

  /** Connections of the same role beside these, for work that must not keep others waiting. */
  beside(options: Pick<DatabaseOptions, 'connections_max' | 'name' | 'statement_timeout_ms'>): Promise<Database> {
    return Database.open({ ...this.options, entities: [], ...options });
  }

  async query<Found extends Row = Row>(sql: string, parameters: readonly unknown[] = []): Promise<Result<Found>> {
    try {
      const pool = await this.pool();
      const { rows, rowCount } = await pool.query<Found>(sql, parameters);
      return { rows, count: rowCount ?? 0 };
    } catch (error) {
      throw translate(error);
    }
  }

  /** For a statement that is run again and again: parsed and planned once per connection. */
  async prepared<Found extends Row = Row>(sql: string, parameters: readonly unknown[]): Promise<Result<Found>> {
    const name = this.names.get(sql) ?? `nexusmon_${this.names.size}`;
    this.names.set(sql, name);
    try {
      const pool = await this.pool();
      const { rows, rowCount } = await pool.query<Found>({ name, text: sql, values: parameters });
      return { rows, count: rowCount ?? 0 };
    } catch (error) {
      throw translate(error);
    }
  }

  async transaction<Value>(work: (sql: Sql) => Promise<Value>): Promise<Value> {
    const client = await this.reserve();
    let fault: Error | undefined;
    try {
      await client.query('begin');
      const value = await work(sqlOf(client));
      await client.query('commit');
      return value;
    } catch (error) {
      fault = await rollback(client, error);
      throw translate(error);
    } finally {
      client.release(fault);
    }
  }

  async close(): Promise<void> {
    await this.orm.close(true);
  }

  private async pool(): Promise<Pool> {
    const pool: unknown = await this.connection.getNativeClient();
    return pool as Pool;
  }

  private async reserve(): Promise<Client> {
    try {
      const pool = await this.pool();
      return await pool.connect();
    } catch (error) {
      throw translate(error);
    }
  }
}

const sqlOf = (client: Client): Sql => ({
  query: async <Found extends Row>(sql: string, parameters: readonly unknown[] = []) => {
    const { rows, rowCount } = await client.query<Found>(sql, parameters);
    return { rows, count: rowCount ?? 0 };
  },
});

/** Returns why the connection must not be used again; undefined when it may. */
const rollback = async (client: Client, because: unknown): Promise<Error | undefined> => {
  if (isAway(because)) return because instanceof Error ? because : new Error(String(because));
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};
