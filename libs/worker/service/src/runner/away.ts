// Waiting for what is away.

import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;

/** Pauses that double up to a bound, each a little different, so that many who wait do not come back at once. */
export const pauses = (): (() => number) => {
  let next = PAUSE_MS_MIN;
  return () => {
    const pause = next * (0.75 + Math.random() / 2);
    next = Math.min(PAUSE_MS_MAX, next * 2);
    return pause;
  };
};

/** Resolves early, and as quietly, when `signal` is aborted: whoever waited looks at the signal. */
export const rest = async (ms: number, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return;
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
