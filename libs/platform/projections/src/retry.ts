const FIRST_MS = 50;
const LAST_MS = 2_000;

/** Doubles with every attempt, up to 2 s. */
export const retryDelay = (attempt: number): number => Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 16));

/** Ends early when the signal aborts. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
