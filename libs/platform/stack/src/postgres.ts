// PostgreSQL 18 from the npm platform package, run directly.
//
//   P1. A cluster appears whole or not at all: it is made beside its place and moved there.
//   P2. It listens on one loopback port only, has no socket file, and takes passwords by SCRAM only.
//   P3. Nothing about durability is relaxed: fsync, full page writes and data checksums are on.
//   P4. A lock file left by a dead server never keeps the next one from starting.

import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { startChild, untilReady, type Child } from './child.js';
import { PROBE_TIMEOUT_MS, READY_TIMEOUT_MS, type Component, type ComponentPlace } from './component.js';
import { StartFault } from './fault.js';
import { readIfThere, replaceFile } from './files.js';
import { canReach, postgresBinaries, postgresUser, sharedPlace, type PostgresUser } from './postgres-binaries.js';

const COMPLAINT_LINES = 3;
const CLUSTER = join('server', 'cluster');

export type PostgresOptions = ComponentPlace & Readonly<{ port: number; user: string; password: string }>;

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  fsync: 'on',
  full_page_writes: 'on',
  // What does not fit lies in the system's own cache, which gives way to others.
  shared_buffers: '16MB',
  // Nothing is replicated, and the data is small enough to be read by whoever asks for it: no processes for either.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  io_method: 'sync',
  // A view can take in a hundred thousand rows in a minute; until they are counted, a search is planned as for none.
  autovacuum_naptime: '10s',
  max_connections: '60',
  dynamic_shared_memory_type: 'posix',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %u@%d ',
  // The statement of a failed command could hold what a mission is about.
  log_min_error_statement: 'panic',
};

/**
 * Where the cluster lies: in the data folder, or outside when the user it runs as cannot come there. A place outside is
 * written down in the data folder; one left by a data folder that is no more holds keys nobody can unwrap.
 */
const clusterPlace = (data_dir: string, user: PostgresUser | undefined): string => {
  if (user === undefined || canReach(data_dir, user)) return data_dir;
  const record = join(data_dir, 'location');
  const recorded = readIfThere(record)?.trim();
  if (recorded) return recorded;
  const digest = createHash('sha256').update(realpathSync(data_dir)).digest('hex').slice(0, 16);
  const place = join(sharedPlace(), `postgres-${digest}-${randomBytes(4).toString('hex')}`);
  replaceFile(record, `${place}\n`);
  return place;
};

const ownedFolder = (path: string, user: PostgresUser | undefined): void => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (user) chownSync(path, user.uid, user.gid);
};

const environmentOf = (native: string): Record<string, string> => ({
  LC_ALL: 'C',
  TZ: 'UTC',
  ...(process.platform === 'linux' ? { LD_LIBRARY_PATH: join(native, 'lib') } : {}),
});

/** Of all that initdb says, what went wrong and what it advises. */
const complaintOf = (error: unknown): string => {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.filter((line) => /(error|FATAL|HINT):/.test(line)).map((line) => line.replace(/^.*?\] /, ''));
  return (telling.length > 0 ? telling : lines).slice(0, COMPLAINT_LINES).join(' ');
};

const createCluster = async (
  native: string,
  place: string,
  cluster: string,
  user: PostgresUser | undefined,
  { user: name, password }: PostgresOptions,
): Promise<void> => {
  const part = `${cluster}.part`;
  const password_file = join(place, 'password.part');
  rmSync(part, { recursive: true, force: true });
  rmSync(password_file, { force: true });
  writeFileSync(password_file, password, { mode: 0o600, flag: 'wx' });
  if (user) chownSync(password_file, user.uid, user.gid);
  const options = [
    ['--pgdata', part],
    ['--username', name],
    ['--pwfile', password_file],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    ['--locale-provider', 'builtin'],
    ['--builtin-locale', 'C.UTF-8'],
    ['--locale', 'C'],
  ].flat();
  try {
    await promisify(execFile)(join(native, 'bin', 'initdb'), [...options, '--data-checksums', '--no-instructions'], {
      cwd: place,
      env: environmentOf(native),
      ...(user ?? {}),
    });
    renameSync(part, cluster);
  } catch (error) {
    throw new StartFault(`PostgreSQL could not make its cluster in ${place}: ${complaintOf(error)}`, { cause: error });
  } finally {
    rmSync(password_file, { force: true });
  }
};

/** P4. PostgreSQL asks only whether the pid in the file lives; the pid may be another process's by now. */
const removeStaleLock = (cluster: string): void => {
  const lock = join(cluster, 'postmaster.pid');
  const pid = Number(readIfThere(lock)?.split('\n')[0] ?? 0);
  if (pid <= 0 || process.platform !== 'linux') return;
  const command_line = existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
  if (!command_line.includes(cluster)) rmSync(lock, { force: true });
};

const PROTOCOL_3_0 = 0x0003_0000;
const ASKS_FOR_A_PASSWORD = 'R'.charCodeAt(0);

/** What opens a connection: its length, the version of the protocol, and who wants to come in where. */
const openingOf = (user: string): Buffer => {
  const words = Buffer.from(`user\0${user}\0database\0postgres\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + words.length, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, words]);
};

/** As `pg_isready` finds out: one that still recovers says so, and one that takes connections asks for a password. */
const answers = ({ port, user }: PostgresOptions): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(openingOf(user)));
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy(new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`)));
    socket.once('error', reject);
    socket.once('data', (said: Buffer) => {
      resolve(said[0] === ASKS_FOR_A_PASSWORD);
      socket.destroy();
    });
    socket.once('close', () => resolve(false));
  });

/** Asked to stop, it closes its connections and writes a checkpoint; late, it leaves recovery to the next start. */
const stopper = (child: Child) => (grace_ms: number) => child.stop('SIGINT', grace_ms, 'SIGQUIT');

export const startPostgres = async (options: PostgresOptions): Promise<Component> => {
  const { data_dir, log_file, port } = options;
  const user = postgresUser();
  const native = postgresBinaries(user);
  mkdirSync(data_dir, { recursive: true, mode: 0o700 });
  // The user only has to pass through the folder: what lies beside the cluster stays closed to it.
  if (user) chmodSync(data_dir, 0o711);
  const place = clusterPlace(data_dir, user);
  ownedFolder(place, place === data_dir ? undefined : user);
  const cluster = join(place, CLUSTER);
  const parent = dirname(cluster);
  ownedFolder(parent, user);
  if (!existsSync(cluster)) await createCluster(native, parent, cluster, user, options);
  removeStaleLock(cluster);
  const child = await startChild({
    name: 'postgres',
    command: join(native, 'bin', 'postgres'),
    args: [
      '-D',
      cluster,
      '-p',
      String(port),
      ...Object.entries(SETTINGS).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    env: environmentOf(native),
    cwd: parent,
    log_file,
    ...(user ?? {}),
  });
  try {
    options.onStarted?.(child);
    await untilReady(child, () => answers(options), READY_TIMEOUT_MS, options.signal);
  } catch (error) {
    await child.stop('SIGQUIT', 1_000);
    throw error;
  }
  return {
    name: 'postgres',
    url: `postgresql://127.0.0.1:${port}`,
    pid: child.pid,
    exited: child.exited,
    stop: stopper(child),
  };
};

/** Where the cluster lies, for whoever removes or backs up the data folder. */
export const outsidePlaceOf = (data_dir: string): string | undefined => {
  const place = readIfThere(join(data_dir, 'location'))?.trim();
  return place && existsSync(place) && statSync(place).isDirectory() ? place : undefined;
};

/** The folder the server is started on: how it is recognised among processes. */
export const clusterOf = (data_dir: string): string => join(outsidePlaceOf(data_dir) ?? data_dir, CLUSTER);
