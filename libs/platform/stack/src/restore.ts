// A backup put back, into a data folder of its own.
//
//   T1. Nothing is put back before all of it has been read and found whole.
//   T2. It is the instance of the same master secret, or sealed text, sessions and tokens of the log could not be read.
//   T3. Whoever decides it has the operator key, and says why. What is decided is signed with that key and is the first
//       new commit of the log: which backup, up to where, into which streams, and what is lost as far as is known.
//   T4. A folder in which this was broken off does not start.

import { createSecretKey, sign } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonical, newId } from '@nexusmon/event-log';
import { Keyring, type SqlExecutor } from '@nexusmon/keys';
import type pg from 'pg';
import { checkParts, readManifest, type Manifest, type StreamPart } from './backup-folder.js';
import { decisionKeyOf, secretsOf, withStores, type Instance } from './backup.js';
import { startChild } from './child.js';
import { StartFault } from './fault.js';
import { readIfThere, replaceFile } from './files.js';
import { freePorts } from './free-ports.js';
import { putBlobsBack } from './kept-blobs.js';
import { putLogBack } from './kept-log.js';
import { farthestRead, putKeysBack, putReactorsBack } from './kept-rows.js';
import { lockFolder } from './lock.js';
import { tail } from './log-files.js';
import { migrate } from './migrations.js';
import { startPostgres } from './postgres.js';
import { clientFor } from './provision.js';
import { silentReport } from './report.js';
import { masterProofFile, publicHalf, type ContextSecrets } from './secrets.js';
import type { Settings } from './settings.js';
import { restoringFile, supervise, type Stack } from './supervisor.js';

const LOCK = 'lock';
const BROUGHT_ALONG = ['master.secret', 'operator.key'];
const OPERATOR = 'operator:owner';
const POSTGRES_STOP_MS = 5_000;

export type RestoreOptions = Readonly<{
  settings: Settings;
  node: string;
  backup: string;
  reason: string;
  /** The data folder of the instance that this one takes the place of: what it had read beyond the backup is lost. */
  instead_of?: string;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}>;

export type Restored = Readonly<{
  restoration_id: string;
  backup_id: string;
  taken_at: string;
  /** `lost_to` is absent where it is not known. */
  streams: readonly Readonly<{
    stream: number;
    formerly: string;
    incarnation: string;
    sequence: number;
    lost_to?: number;
  }>[];
  blobs_damaged: readonly string[];
}>;

/** The operator key of a folder that has not been started yet. */
const operatorKeyIn = (data_dir: string, environment: Settings['environment']): string => {
  const key = environment['OPERATOR_KEY']?.trim() || readIfThere(join(data_dir, 'operator.key'))?.trim();
  if (key) return key;
  throw new StartFault(
    `a restore is the operator's decision: put the instance's operator.key into ${data_dir}, or set OPERATOR_KEY`,
  );
};

/** T2, T4 */
const prepare = ({ settings }: RestoreOptions, { master_proof }: Manifest): string => {
  const { data_dir, environment } = settings;
  mkdirSync(data_dir, { recursive: true, mode: 0o700 });
  const there = readdirSync(data_dir).filter((name) => !BROUGHT_ALONG.includes(name) && name !== LOCK);
  if (there.length > 0)
    throw new StartFault(
      `${data_dir} holds ${there.slice(0, 3).join(', ')}: a backup is put back into a folder with nothing but ` +
        BROUGHT_ALONG.join(' and '),
    );
  if (!environment['NEXUS_MASTER_SECRET'] && !existsSync(join(data_dir, 'master.secret')))
    throw new StartFault(
      `the master secret is not in a backup: put the instance's master.secret into ${data_dir}, or set NEXUS_MASTER_SECRET`,
    );
  const operator_key = operatorKeyIn(data_dir, environment);
  replaceFile(restoringFile(data_dir), '{}\n');
  mkdirSync(join(data_dir, 'secrets'), { recursive: true, mode: 0o700 });
  replaceFile(masterProofFile(data_dir), `${master_proof}\n`);
  return operator_key;
};

type Farthest = Awaited<ReturnType<typeof farthestRead>>;

/** Starts the other instance's database alone, to ask how far its log had been read. */
const farthestOf = async (other: string): Promise<Farthest> => {
  const lock = await lockFolder(other);
  try {
    const { database_user: user, database_password: password } = JSON.parse(
      readIfThere(join(other, 'secrets', 'admin.json')) ?? '{}',
    ) as ContextSecrets;
    const [port = 0] = await freePorts(1, { taken: 0 });
    const log_file = join(other, 'logs', 'postgres.log');
    const postgres = await startPostgres({ data_dir: join(other, 'postgres'), log_file, port, user, password });
    try {
      const client = clientFor(`${postgres.url}/nexusmon`, { user, password });
      await client.connect();
      const found = await farthestRead(client);
      await client.end();
      return found;
    } finally {
      await postgres.stop(POSTGRES_STOP_MS);
    }
  } finally {
    lock.release();
  }
};

const streamOf = (part: StreamPart, incarnation: string, farthest: Farthest | undefined) => {
  const { number: stream, incarnation: formerly, last_sequence: sequence } = part;
  const known = farthest?.find((each) => each.stream === stream && each.incarnation === formerly);
  const lost_to = farthest && Math.max(sequence, known?.sequence ?? sequence);
  return { stream, formerly, incarnation, sequence, ...(lost_to === undefined ? {} : { lost_to }) };
};

const run = async (options: RestoreOptions, stack: Stack, script: string, file: string): Promise<void> => {
  const { settings, node } = options;
  const log_file = join(settings.data_dir, 'logs', 'restore.log');
  const child = await startChild({
    name: 'restore',
    command: node,
    args: ['--enable-source-maps', join(settings.root, 'apps', 'standalone', 'dist', script), file],
    env: { ...stack.environment, OPS_PORT: '0' },
    cwd: settings.data_dir,
    log_file,
  });
  const { code } = await child.exited;
  if (code !== 0) throw new StartFault(`the restore could not be recorded; ${log_file} ends with:\n${tail(log_file)}`);
};

const putBack = async (options: RestoreOptions, instance: Instance, { manifest, digest, stack, farthest }: Found) => {
  const { backup, onProgress, settings, node, reason } = options;
  const { root, data_dir } = settings;
  const { incarnations, key_id } = await withStores(instance, async ({ nats, database, bucket }) => {
    const { user = '', password = '' } = database;
    const log_file = join(data_dir, 'logs', 'migrate.log');
    const admin = { user, password: String(password) };
    const { database_url } = instance;
    await migrate({ root, node, database_url, admin, environment: stack.environment, log_file });
    await putBlobsBack(bucket, backup, manifest.blobs.count, onProgress);
    await putKeysBack(database, backup);
    const made = await putLogBack(nats, backup, manifest.streams, onProgress);
    await putReactorsBack(database, backup, made);
    return { incarnations: made, key_id: await ownersKey(instance, database) };
  });
  const key = decisionKeyOf(instance);
  const { backup_id, taken_at } = manifest;
  const streams = manifest.streams.map((part, index) => streamOf(part, incarnations[index] ?? '', farthest));
  const decided = {
    ...{ restoration_id: newId('rst'), backup_id, taken_at, manifest: digest },
    ...{ decided_at: new Date().toISOString(), streams, reason },
  };
  const public_key = publicHalf(key);
  const signature = sign(null, Buffer.from(canonical(decided)), key).toString('base64url');
  onProgress('recording the restore in the log');
  const record = { key_id, said: { ...decided, public_key, signature } };
  replaceFile(restoringFile(data_dir), `${JSON.stringify(record)}\n`);
  await run(options, stack, 'record-restoration.js', restoringFile(data_dir));
  const { restoration_id } = decided;
  return { restoration_id, backup_id, taken_at, streams, blobs_damaged: manifest.blobs.damaged };
};

/** Of the operator, for the reason: no service that records it may make one. */
const ownersKey = (instance: Instance, database: pg.Client): Promise<string> => {
  const { wrap_key = '' } = secretsOf(instance, 'mission');
  const sql: SqlExecutor = { query: (statement, parameters) => database.query(statement, [...parameters]) };
  return new Keyring({ sql, wrap_key: createSecretKey(wrap_key, 'base64') }).forOwner(OPERATOR);
};

type Found = Readonly<{ manifest: Manifest; digest: string; stack: Stack; farthest: Farthest | undefined }>;

export const restore = async (options: RestoreOptions): Promise<Restored> => {
  const { backup, settings, node, instead_of, signal, onProgress } = options;
  const { data_dir } = settings;
  const { manifest, digest } = readManifest(backup);
  await checkParts(backup, manifest, onProgress); // T1
  const farthest = instead_of === undefined ? undefined : await farthestOf(instead_of);
  const operator_key = prepare(options, manifest);
  onProgress('starting the stores');
  const environment = { ...settings.environment, NEXUSMON_STREAMS: String(manifest.streams.length) };
  const stack = await supervise({
    ...{ ...settings, environment, node, services: [], report: silentReport, signal },
  });
  try {
    const instance = { ...stack.addresses, data_dir, secrets_dir: stack.secrets_dir, operator_key };
    const restored = await putBack(options, instance, { manifest, digest, stack, farthest });
    rmSync(restoringFile(data_dir));
    return restored;
  } finally {
    await stack.stop();
  }
};
