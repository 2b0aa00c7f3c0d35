// The process behind `nexusmon backup` and `nexusmon restore`: does one of them, and tells how it goes.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { takeBackup, type Instance } from './backup.js';
import { StartFault } from './fault.js';
import { readIfThere } from './files.js';
import { silentReport } from './report.js';
import { restore, type Restored } from './restore.js';
import type { Settings } from './settings.js';
import { DEFAULT_BUCKET, supervise, type RunFile } from './supervisor.js';

export type BackupTask =
  | Readonly<{ verb: 'backup'; target: string }>
  | Readonly<{ verb: 'restore'; backup: string; reason: string; instead_of?: string }>;

export type Told = Readonly<{ progress: string }> | Readonly<{ done: unknown }> | Readonly<{ fault: string }>;

/** Often enough for a person who waits. */
const TOLD_EVERY_MS = 200;

const tell = (told: Told): void => {
  if (process.connected) process.send?.(told);
};

const productOf = (root: string): string =>
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;

/** The instance as it runs; undefined where it does not. */
const running = ({ data_dir, environment }: Settings): Instance | undefined => {
  const text = readIfThere(join(data_dir, 'run.json'));
  if (text === undefined) return undefined;
  const { nats_url, database_url, s3_endpoint, operator_key_file, pids } = JSON.parse(text) as RunFile;
  // A run that was killed with everything leaves its note behind.
  if (!Object.values(pids).some((pid) => existsSync(`/proc/${pid}`) || isThere(pid))) return undefined;
  return {
    ...{ data_dir, secrets_dir: join(data_dir, 'secrets'), nats_url, database_url, s3_endpoint },
    operator_key: readFileSync(operator_key_file, 'utf8').trim(),
    s3_bucket: environment['S3_BUCKET'] || DEFAULT_BUCKET,
  };
};

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // No such process, which is what was asked.
  }
};

const backup = async (settings: Settings, target: string, signal: AbortSignal, onProgress: (text: string) => void) => {
  const options = { target, product: productOf(settings.root), onProgress };
  const up = running(settings);
  if (up) return takeBackup(up, options);
  if (!existsSync(join(settings.data_dir, 'secrets')))
    throw new StartFault(`${settings.data_dir} is no data folder: nothing has been started on it yet`);
  onProgress('starting the stores');
  const stack = await supervise({ ...settings, node: process.execPath, services: [], report: silentReport, signal });
  try {
    const operator_key = readFileSync(stack.run().operator_key_file, 'utf8').trim();
    const { data_dir } = settings;
    return await takeBackup({ ...stack.addresses, data_dir, secrets_dir: stack.secrets_dir, operator_key }, options);
  } finally {
    await stack.stop();
  }
};

/** What is told of a backup: the manifest without what only a restore needs. */
const perform = async (settings: Settings, task: BackupTask, signal: AbortSignal): Promise<unknown> => {
  let told_ms = 0;
  const onProgress = (progress: string) => {
    signal.throwIfAborted();
    if (performance.now() - told_ms < TOLD_EVERY_MS) return;
    told_ms = performance.now();
    tell({ progress });
  };
  if (task.verb === 'restore') {
    const { verb: _, ...rest } = task;
    const restored: Restored = await restore({ settings, node: process.execPath, ...rest, signal, onProgress });
    return { ...restored, data_dir: settings.data_dir };
  }
  const { target } = task;
  const { backup_id, taken_at, streams, blobs } = await backup(settings, target, signal, onProgress);
  const of = streams.map(({ number: stream, incarnation, last_sequence: sequence }) => ({
    ...{ stream, incarnation, sequence },
  }));
  return { backup_id, taken_at, target, streams: of, blobs };
};

/** Ends the process: with 0 when it is done. */
export const main = async (settings: Settings, task: BackupTask): Promise<never> => {
  const ending = new AbortController();
  const callOff = () => ending.abort(new StartFault('called off'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.once(signal, callOff);
  try {
    tell({ done: await perform(settings, task, ending.signal) });
    return process.exit(0);
  } catch (error) {
    const fault = error instanceof StartFault ? error.message : error instanceof Error ? error.stack : String(error);
    tell({ fault: fault ?? 'unknown' });
    return process.exit(1);
  }
};
