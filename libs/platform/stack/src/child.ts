// One process of ours: started, watched, stopped.
//
//   C1. It has a session of its own: Ctrl-C in a terminal reaches the supervisor, which stops everything in order.
//   C2. Its output goes straight to a file, so that neither a slow nor a dead supervisor holds it up.
//   C3. To stop is to ask, then to insist, and always to wait until it is gone.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export type ChildOptions = Readonly<{
  name: string;
  command: string;
  args: readonly string[];
  /** Everything the process gets; nothing is inherited. */
  env: Readonly<Record<string, string>>;
  cwd: string;
  log_file: string;
  uid?: number;
  gid?: number;
}>;

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>;

export type Child = Readonly<{
  name: string;
  pid: number;
  exited: Promise<Exit>;
  hasExited: () => boolean;
  stop: (signal: NodeJS.Signals, grace_ms: number, insist?: NodeJS.Signals) => Promise<void>;
}>;

const send = (child: ChildProcess, signal: NodeJS.Signals): void => {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
};

export const startChild = async (options: ChildOptions): Promise<Child> => {
  const { name, command, args, env, cwd, log_file, uid, gid } = options;
  const log = openSync(log_file, 'a', 0o600);
  const child = spawn(command, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', log, log],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  closeSync(log);
  const exited = new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new Error(`${name} could not be started`, { cause: error })));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} was started without a pid`);
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;

  const stop = async (signal: NodeJS.Signals, grace_ms: number, insist: NodeJS.Signals = 'SIGKILL') => {
    send(child, signal);
    const insisting = setTimeout(() => send(child, insist), grace_ms);
    await exited;
    clearTimeout(insisting);
  };
  return { name, pid, exited, hasExited, stop };
};

const PROBE_PAUSE_MS = 25;

/**
 * Asks until the probe says yes. A probe that throws says no: the component is not there yet, or not any more. The time
 * begins anew whenever `progress` changes: who is still getting on may take as long as there is work.
 */
export const untilReady = async (
  child: Child,
  probe: () => Promise<boolean>,
  timeout_ms: number,
  signal?: AbortSignal,
  progress: () => string = () => '',
): Promise<void> => {
  let deadline = performance.now() + timeout_ms;
  let reached = progress();
  let last: unknown;
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    if (child.hasExited()) {
      const { code, signal } = await child.exited;
      throw new Error(`${child.name} ended before it was ready (${signal ?? `exit ${code}`})`);
    }
    try {
      if (await probe()) return;
    } catch (error) {
      last = error;
    }
    if (progress() !== reached) {
      reached = progress();
      deadline = performance.now() + timeout_ms;
    }
    await delay(PROBE_PAUSE_MS);
  }
  throw new Error(`${child.name} was not ready within ${timeout_ms} ms`, { cause: last });
};
