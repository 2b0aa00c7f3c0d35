// Processes that outlived their supervisor.
//
//   O1. What we started is written down as it starts; what was started and not yet written down is found by its command
//       line, which names our data folder as a whole argument.
//   O2. A recorded pid counts only while it is still the process that was recorded (identity.ts).
//   O3. Nothing new is started on the folder before all of it is gone: two servers on one store would destroy it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from './fault.js';
import { readIfThere, replaceFile } from './files.js';
import { isAlive, recordOf, type ProcessRecord } from './identity.js';

const ASK_MS = 2_500;
const INSIST_MS = 5_000;
const PAUSE_MS = 25;

export const recordsFile = (data_dir: string): string => join(data_dir, 'processes.json');

export const writeRecords = (data_dir: string, records: readonly ProcessRecord[]): void =>
  replaceFile(recordsFile(data_dir), `${JSON.stringify(records)}\n`);

const isRecord = (value: unknown): value is ProcessRecord =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  'pid' in value &&
  'started' in value &&
  typeof value.name === 'string' &&
  typeof value.pid === 'number' &&
  typeof value.started === 'string' &&
  value.pid > 1;

/** A list that cannot be read says nothing: what is left is then found by its command line alone. */
export const parseRecords = (text: string | undefined): ProcessRecord[] => {
  try {
    const parsed: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(parsed) ? parsed.filter(isRecord) : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
};

/** The name under which we would have started a process with these arguments on this folder, if we could have. */
export const ourName = (args: readonly string[], data_dir: string): string | undefined => {
  if (args.includes(join(data_dir, 'nats', 'nats.conf'))) return 'nats';
  if (args.includes(join(data_dir, 'minio', 'store'))) return 'minio';
  const marker = args.indexOf('--data-dir');
  const script = args[marker - 1] ?? '';
  if (marker > 0 && args[marker + 1] === data_dir && script.endsWith(join('dist', 'main.js'))) return 'service';
  return undefined;
};

const commandLine = (pid: string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return [];
    throw error;
  }
};

const unrecorded = (data_dir: string, cluster: string | undefined): ProcessRecord[] => {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((pid) => {
      const args = commandLine(pid);
      const name = cluster && args[1] === '-D' && args[2] === cluster ? 'postgres' : ourName(args, data_dir);
      const record = name === undefined ? undefined : recordOf(name, Number(pid));
      return record ? [record] : [];
    });
};

/** A process that ends between the question and the signal has only been quicker. */
const send = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
};

const untilGone = async (record: ProcessRecord, timeout_ms: number): Promise<boolean> => {
  const deadline = performance.now() + timeout_ms;
  while (isAlive(record)) {
    if (performance.now() > deadline) return false;
    await delay(PAUSE_MS);
  }
  return true;
};

const end = async (record: ProcessRecord): Promise<void> => {
  const postgres = record.name === 'postgres';
  if (!isAlive(record)) return;
  send(record.pid, postgres ? 'SIGINT' : 'SIGTERM');
  if (await untilGone(record, ASK_MS)) return;
  send(record.pid, postgres ? 'SIGQUIT' : 'SIGKILL');
  if (await untilGone(record, INSIST_MS)) return;
  send(record.pid, 'SIGKILL');
  if (!(await untilGone(record, INSIST_MS)))
    throw new Error(`process ${record.pid} (${record.name}), left by an earlier run, does not end`);
};

/** Ends what an earlier supervisor left, and returns the names of what was still there. */
export const endLeftovers = async (data_dir: string, cluster: string | undefined): Promise<string[]> => {
  const recorded = parseRecords(readIfThere(recordsFile(data_dir))).filter(isAlive);
  const pids = new Set(recorded.map(({ pid }) => pid));
  const found = [...recorded, ...unrecorded(data_dir, cluster).filter(({ pid }) => !pids.has(pid))];
  await Promise.all(found.map(end));
  return found.map(({ name }) => name);
};
