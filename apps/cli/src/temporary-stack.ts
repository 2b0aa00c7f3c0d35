// A stack for one check: started in a folder of its own, asked, stopped, and removed.
//
//   T1. It uses nothing of another stack's: neither its data folder nor components that run elsewhere.
//   T2. Whatever happens to the check, the stack is stopped and its folder removed.

import { environmentWithout } from '@nexusmon/config';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import type { Output } from './output.js';

const START = fileURLToPath(new URL('../../../tools/start.mjs', import.meta.url));
const TOLD_LINES = 20;

/** What would lead to components and secrets of another stack; `.env` is overruled by an empty value. */
const NOT_OURS = [
  ...['NATS_URL', 'NATS_MONITOR_URL', 'DATABASE_URL', 'DATABASE_ADMIN_URL', 'S3_ENDPOINT', 'S3_BUCKET'],
  ...['NEXUS_MASTER_SECRET', 'OPERATOR_KEY', 'SWARMZ_JWT_SECRET', 'NEXUSMON_STREAMS', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  ...['HOST', 'PORT', 'NEXUSMON_DATA'],
];

const isReady = async (child: ChildProcess, said: string[], signal: AbortSignal): Promise<void> => {
  const ready = new Promise<void>((resolve) => {
    const take = (line: string) => {
      said.push(line);
      if (said.length > TOLD_LINES) said.shift();
      if (line.startsWith('ready')) resolve();
    };
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface({ input: stream }).on('line', take);
  });
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    const why = said.join('\n       ');
    const what = `the temporary stack did not start (${String(code)})`;
    throw new CliFault({ code: 'stack-not-started', what, why, next: 'npm start', exit: EXIT.unavailable });
  });
  await Promise.race([ready, ended]);
};

const stopped = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGINT');
  await exit;
};

export const withTemporaryStack = async (
  output: Output,
  signal: AbortSignal,
  work: (data_dir: string) => Promise<void>,
): Promise<void> => {
  const data_dir = await mkdtemp(join(tmpdir(), 'nexusmon-doctor-'));
  output.say('starting a temporary stack; the first time takes minutes');
  const child = spawn(process.execPath, [START, '--port', '0', '--data-dir', data_dir], {
    env: environmentWithout(NOT_OURS),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C is for us alone: the stack is stopped in order.
    detached: true,
  });
  try {
    await isReady(child, [], signal);
    await work(data_dir);
  } finally {
    await stopped(child);
    await rm(data_dir, { recursive: true, force: true });
  }
};
