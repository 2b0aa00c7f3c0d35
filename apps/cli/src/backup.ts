// Backups, taken and put back by a process of their own beside the gateway: they need the stores, not the product.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import type { Output } from './output.js';
import { folderOf } from './place.js';
import type { Globals, RestoreOptions } from './program.js';
import type { Run } from './session.js';

const WORK = fileURLToPath(new URL('../../../tools/backup.mjs', import.meta.url));

type Told = Readonly<{ progress?: string; done?: unknown; fault?: string }>;

/** What is done in the other process, told as it goes. */
const have = async (run: Run, output: Output, data_dir: string, task: object): Promise<unknown> => {
  run.signal.throwIfAborted();
  const child = fork(WORK, [data_dir, JSON.stringify(task)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const callOff = () => child.kill('SIGTERM');
  run.signal.addEventListener('abort', callOff, { once: true });
  let last: Told = {};
  child.on('message', (told: Told) => {
    last = told;
    if (told.progress !== undefined) output.progress(told.progress);
  });
  await once(child, 'exit');
  run.signal.removeEventListener('abort', callOff);
  output.progress('');
  run.signal.throwIfAborted();
  if ('done' in last) return last.done;
  const what = last.fault ?? 'it ended before it was done';
  throw new CliFault({ code: 'backup-failed', what, exit: EXIT.failure });
};

type Blobs = Readonly<{ count: number; bytes: number; damaged: readonly string[] }>;
type Taken = Readonly<{
  backup_id: string;
  target: string;
  streams: readonly Readonly<{ stream: number; sequence: number }>[];
  blobs: Blobs;
}>;

const damagedText = (damaged: readonly string[]): string =>
  damaged.length === 0 ? '' : `damaged in the store, and not in the backup: ${damaged.join(', ')}\n`;

const takenText = ({ backup_id, target, streams, blobs }: Taken): string => {
  const upTo = streams.map(({ sequence }) => sequence).join(', ');
  return (
    `${backup_id} in ${target}: the log up to ${upTo}, ${blobs.count} blobs (${blobs.bytes} bytes)\n` +
    `${damagedText(blobs.damaged)}The master secret and the operator key are not in it: keep them elsewhere.\n`
  );
};

export const backUp = async (run: Run, target: string, globals: Globals): Promise<void> => {
  const output = run.outputFor(globals);
  run.begin(globals);
  const data_dir = folderOf({ data_dir: globals.dataDir }, run.environment, process.cwd());
  const taken = (await have(run, output, data_dir, { verb: 'backup', target: resolve(target) })) as Taken;
  output.answer(taken, () => takenText(taken));
};

type Restored = Readonly<{
  restoration_id: string;
  backup_id: string;
  data_dir: string;
  streams: readonly Readonly<{ stream: number; sequence: number; lost_to?: number }>[];
  blobs_damaged: readonly string[];
}>;

const lossOf = ({ stream, sequence, lost_to }: Restored['streams'][number]): string => {
  if (lost_to === undefined) return `stream ${stream}: up to ${sequence}; what came after is lost, and not known`;
  if (lost_to === sequence) return `stream ${stream}: up to ${sequence}; nothing after it had been read`;
  return `stream ${stream}: up to ${sequence}; ${sequence + 1} to ${lost_to} are lost`;
};

const restoredText = ({ restoration_id, backup_id, data_dir, streams, blobs_damaged }: Restored): string =>
  `${backup_id} is in ${data_dir}, on record as ${restoration_id}\n` +
  `${streams.map((stream) => `  ${lossOf(stream)}\n`).join('')}${damagedText(blobs_damaged)}` +
  `next: npm start -- --data-dir ${data_dir}\n`;

export const restore = async (run: Run, backup: string, options: RestoreOptions, globals: Globals): Promise<void> => {
  const output = run.outputFor(globals);
  run.begin(globals);
  if (globals.dataDir === undefined)
    throw new CliFault({
      code: 'usage',
      what: 'a backup is put back into a folder that is named',
      next: 'nexusmon --data-dir <new folder> restore <backup> --reason <text>',
      exit: EXIT.usage,
    });
  const { reason, insteadOf } = options;
  const task = {
    ...{ verb: 'restore', backup: resolve(backup), reason },
    ...(insteadOf === undefined ? {} : { instead_of: resolve(insteadOf) }),
  };
  const restored = (await have(run, output, resolve(globals.dataDir), task)) as Restored;
  output.answer(restored, () => restoredText(restored));
};
