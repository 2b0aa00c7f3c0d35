// What the components must hold before a service of ours may start. Runs as `admin` at each start.
//
//   V1. Every step may be repeated: what is there stays, what is missing is made, rights are set again.
//   V2. The number of event streams is chosen at birth: streams that are there decide, whatever is asked later.
//   V3. A context's role reads and writes rows of its own schema; tables are made and owned by `admin`.
//   V4. Wrapped keys are added, read and destroyed by whoever makes them, and only read by the rest.
//   V5. A server of somebody else's that cannot carry what we send is refused now, not when the first one is lost.

import { JetStreamApiCodes, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect, nanos } from '@nats-io/transport-node';
import { DATA_KEY_DDL } from '@nexusmon/keys';
import type { Client } from 'minio';
import pg from 'pg';
import { hasCode, StartFault } from './fault.js';
import { PAYLOAD_BYTES_MAX } from './nats.js';
import type { Credentials, Secrets } from './secrets.js';

const PARTITIONS = 64;
const streamName = (stream: number): string => `NEXUSMON_EVENTS_${stream}`;
const STREAM_COUNTS = [1, 2, 4, 8];
/** The shortest the server takes. Repeats are told by the expected sequence, not by a window of time. */
const DUPLICATE_WINDOW_MS = 100;
const DATABASE = 'nexusmon';
/** There in every server, for whoever has no database yet. */
const MAINTENANCE_DATABASE = 'postgres';
const INVALID_CATALOG_NAME = '3D000';

/** Which role writes in which schema. */
const SCHEMA_ROLES = {
  mission: 'mission',
  governance: 'governance',
  access: 'gateway',
  vault: 'vault',
  evolution: 'evolution',
} as const;
const KEY_WRITERS = ['mission', 'gateway'] as const;
const KEY_READERS = ['governance', 'vault', 'evolution'] as const;

/** How many streams the log was born with, by the share of partitions its first stream owns. */
const bornStreams = async (manager: JetStreamManager): Promise<number | undefined> => {
  try {
    const { config } = await manager.streams.info(streamName(0));
    return config.subjects[0] === 'evt.>' ? 1 : PARTITIONS / config.subjects.length;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  }
};

const missingStreams = async (manager: JetStreamManager, streams: number): Promise<number[]> => {
  const present = new Set<string>();
  for await (const name of manager.streams.names()) present.add(name);
  return Array.from({ length: streams }, (_, stream) => stream).filter((stream) => !present.has(streamName(stream)));
};

/** V5. Unnoticed, the answers that are larger would fail one by one, long after the start. */
const checkPayload = (taken: number | undefined): void => {
  if (taken !== undefined && taken >= PAYLOAD_BYTES_MAX) return;
  throw new StartFault(
    `the NATS server takes messages of ${taken ?? 'unknown'} bytes at most: set max_payload to ${PAYLOAD_BYTES_MAX} (8 MiB)`,
  );
};

/** Returns the number of event streams there are. */
export const provisionLog = async (url: string, { user, password }: Credentials, asked: number): Promise<number> => {
  if (!STREAM_COUNTS.includes(asked))
    throw new StartFault(`NEXUSMON_STREAMS is ${asked}; it can be ${STREAM_COUNTS.join(', ')}`);
  const connection = await connect({
    servers: url,
    user,
    pass: password,
    name: 'provision',
    inboxPrefix: '_INBOX_admin',
  });
  try {
    checkPayload(connection.info?.max_payload);
    const manager = await jetstreamManager(connection);
    const streams = (await bornStreams(manager)) ?? asked;
    const missing = await missingStreams(manager, streams);
    if (missing.length > 0) {
      // Loaded at a birth only: it brings half the product with it, and a start has no time to lose.
      const { eventStreamConfig } = await import('@nexusmon/event-log');
      // A birth that was cut short is finished as it was begun.
      for (const stream of missing)
        await manager.streams.add({
          ...eventStreamConfig(stream, streams),
          duplicate_window: nanos(DUPLICATE_WINDOW_MS),
        });
    }
    return streams;
  } finally {
    await connection.close();
  }
};

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const databaseIn = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1));

export const clientFor = (url: string, { user, password }: Credentials, database = databaseIn(url)) => {
  const { hostname, port, searchParams } = new URL(url);
  const ssl = ['require', 'verify-full'].includes(searchParams.get('sslmode') ?? '');
  const client = new pg.Client({ host: hostname, port: Number(port || 5432), database, user, password, ssl });
  // A connection that breaks fails the query on it, which is where it is dealt with.
  client.on('error', () => undefined);
  return client;
};

const connected = async <Value>(client: InstanceType<typeof pg.Client>, work: () => Promise<Value>): Promise<Value> => {
  await client.connect();
  try {
    return await work();
  } finally {
    await client.end();
  }
};

const roleStatements = (secrets: Secrets): string[] =>
  Object.entries(secrets.contexts)
    .filter(([context]) => context !== 'admin')
    .map(([, { database_user, database_password }]) => {
      const [role, password] = [identifier(database_user), literal(database_password)];
      const rights = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT';
      return `DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(database_user)}) THEN CREATE ROLE ${role}; END IF;
      END $$;
      ALTER ROLE ${role} ${rights} PASSWORD ${password};
      ALTER ROLE ${role} SET synchronous_commit = off;`;
    });

const schemaStatements = (): string[] =>
  Object.entries(SCHEMA_ROLES).map(
    ([schema, role]) => `
      CREATE SCHEMA IF NOT EXISTS ${schema};
      REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC;
      GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role};
      ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role};`,
  );

const keyStatements = (): string => `
  ${DATA_KEY_DDL}
  REVOKE ALL ON SCHEMA keys FROM PUBLIC;
  GRANT USAGE ON SCHEMA keys TO ${[...KEY_WRITERS, ...KEY_READERS].join(', ')};
  GRANT SELECT, INSERT, UPDATE (wrapped) ON keys.data_key TO ${KEY_WRITERS.join(', ')};
  GRANT SELECT ON keys.data_key TO ${KEY_READERS.join(', ')};`;

const databaseStatements = (database: string): string => `
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  REVOKE ALL ON DATABASE ${identifier(database)} FROM PUBLIC;
  GRANT CONNECT ON DATABASE ${identifier(database)} TO ${Object.values(SCHEMA_ROLES).join(', ')};`;

const createDatabase = async (url: string, admin: Credentials, database: string): Promise<void> => {
  const client = clientFor(url, admin, MAINTENANCE_DATABASE);
  await connected(client, async () => {
    const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (rows.length === 0) await client.query(`CREATE DATABASE ${identifier(database)}`);
  });
};

/** A server of our own holds nothing but our database: nobody but `admin` has business elsewhere in it. */
const closeMaintenanceDatabase = async (url: string, admin: Credentials): Promise<void> => {
  const client = clientFor(url, admin, MAINTENANCE_DATABASE);
  await connected(client, () => client.query(`REVOKE CONNECT ON DATABASE ${MAINTENANCE_DATABASE} FROM PUBLIC`));
};

const exists = async (url: string, admin: Credentials): Promise<boolean> => {
  const client = clientFor(url, admin);
  try {
    await connected(client, () => client.query('SELECT 1'));
    return true;
  } catch (error) {
    if (hasCode(error, INVALID_CATALOG_NAME)) return false;
    throw error;
  }
};

/** Returns the URL of our database, without credentials. The database is the one the URL names, else `nexusmon`. */
const provisionDatabase = async (server: string, admin: Credentials, secrets: Secrets): Promise<string> => {
  const url = new URL(server);
  if (databaseIn(server) === '') url.pathname = `/${DATABASE}`;
  const ours = url.toString();
  if (!(await exists(ours, admin))) await createDatabase(ours, admin, databaseIn(ours));
  const client = clientFor(ours, admin);
  const rights = [...schemaStatements(), keyStatements(), databaseStatements(databaseIn(ours))];
  const statements = [...roleStatements(secrets), ...rights];
  await connected(client, () => client.query(`BEGIN; ${statements.join('\n')} COMMIT;`));
  return ours;
};

export const s3ClientFor = async (endpoint: string, { user, password }: Credentials): Promise<Client> => {
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === 'https:';
  const { Client: S3Client } = await import('minio');
  return new S3Client({
    endPoint: hostname,
    port: Number(port || (useSSL ? 443 : 80)),
    useSSL,
    accessKey: user,
    secretKey: password,
  });
};

const provisionBucket = async (endpoint: string, credentials: Credentials, bucket: string): Promise<void> => {
  const client = await s3ClientFor(endpoint, credentials);
  if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket);
};

export type ProvisionOptions = Readonly<{
  secrets: Secrets;
  nats: Readonly<{ url: string; admin: Credentials; streams: number }>;
  database: Readonly<{ url: string; admin: Credentials; is_ours: boolean }>;
  /** Where there is no bucket yet, as far as is known. */
  s3?: Readonly<{ endpoint: string; bucket: string }>;
}>;

export type Provisioned = Readonly<{ streams: number; database_url: string }>;

export const provision = async ({ secrets, nats, database, s3 }: ProvisionOptions): Promise<Provisioned> => {
  const [streams, database_url] = await Promise.all([
    provisionLog(nats.url, nats.admin, nats.streams),
    provisionDatabase(database.url, database.admin, secrets),
    s3 && provisionBucket(s3.endpoint, secrets.s3, s3.bucket),
  ]);
  if (database.is_ours) await closeMaintenanceDatabase(database.url, database.admin);
  return { streams, database_url };
};

/** What the last migration left written in the database. */
export const readMark = async (url: string, admin: Credentials): Promise<string | undefined> => {
  const client = clientFor(url, admin);
  const sql = `SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = current_database()`;
  const { rows } = await connected(client, () => client.query<{ mark: string | null }>(sql));
  return rows[0]?.mark ?? undefined;
};

export const writeMark = async (url: string, admin: Credentials, mark: string): Promise<void> => {
  const client = clientFor(url, admin);
  await connected(client, () => client.query(`COMMENT ON DATABASE ${identifier(databaseIn(url))} IS ${literal(mark)}`));
};
