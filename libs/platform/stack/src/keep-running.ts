// A process that is there again when it dies.
//
//   R1. The first restart follows at once; each further one waits longer, never as long as five seconds, until one has
//       stayed up for a while.
//   R2. A restart uses the same ports and the same data: nobody who knew the address has to learn another.
//   R3. The first start may fail only so often, and not at all where trying again would not help; after it succeeded,
//       restarts never give up.

import { setTimeout as delay } from 'node:timers/promises';
import type { Exit } from './child.js';
import { StartFault } from './fault.js';

const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 4_000;
const STEADY_MS = 10_000;
/** For one that became ready just when everything was to stop. */
const LATE_GRACE_MS = 2_000;
export const FIRST_STARTS_MAX = 4;

export type Running = Readonly<{
  pid: number;
  exited: Promise<Exit>;
  stop: (grace_ms: number) => Promise<void>;
}>;

export type Kept = Readonly<{ name: string; stop: (grace_ms: number) => Promise<void> }>;

export type KeepOptions<Process extends Running> = Readonly<{
  name: string;
  /** Starts it and resolves when it is ready. */
  start: (signal: AbortSignal) => Promise<Process>;
  /** Aborted when everything is to stop, also before it was ready for the first time. */
  signal: AbortSignal;
  onDied: (exit: Exit, pause_ms: number) => void;
  onFailed: (error: unknown, pause_ms: number) => void;
  onReady: (running: Process, restarts: number) => void;
}>;

export const pauseBefore = (restart: number): number => Math.min(FIRST_PAUSE_MS * 2 ** (restart - 1), PAUSE_MS_MAX);

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Resolves when it is ready for the first time. */
export const keepRunning = async <Process extends Running>(options: KeepOptions<Process>): Promise<Kept> => {
  const { name, start, onDied, onFailed, onReady } = options;
  const stopping = new AbortController();
  const signal = AbortSignal.any([options.signal, stopping.signal]);
  const pause = (ms: number) => Promise.race([delay(ms, undefined, { ref: false }), aborted(signal)]);
  let current: Process | undefined;
  let failures = 0;
  let restarts = 0;

  const startUntilReady = async (first: boolean): Promise<Process | undefined> => {
    while (!signal.aborted) {
      try {
        const running = await start(signal);
        if (!signal.aborted) return running;
        await running.stop(LATE_GRACE_MS);
      } catch (error) {
        failures += 1;
        if (signal.aborted) return undefined;
        if (first && (failures >= FIRST_STARTS_MAX || error instanceof StartFault)) throw error;
        onFailed(error, pauseBefore(failures));
        await pause(pauseBefore(failures));
      }
    }
    return undefined;
  };

  const watch = async (): Promise<void> => {
    while (current) {
      const began = performance.now();
      const exit = await current.exited;
      current = undefined;
      if (signal.aborted) return;
      failures = performance.now() - began > STEADY_MS ? 1 : failures + 1;
      onDied(exit, pauseBefore(failures));
      await pause(pauseBefore(failures));
      current = await startUntilReady(false);
      restarts += 1;
      if (current) onReady(current, restarts);
    }
  };

  current = await startUntilReady(true);
  failures = 0;
  signal.throwIfAborted();
  if (current) onReady(current, restarts);
  const watching = watch();

  const stop = async (grace_ms: number): Promise<void> => {
    stopping.abort();
    await current?.stop(grace_ms);
    await watching;
  };
  return { name, stop };
};
