// Deadlines: nobody holds a connection by sending slowly, and nobody is cut off for sending much.
//
//   L1. Head: within `HEAD_MS`. A body that is read whole: within `BODY_MS` of its head.
//   L2. A body that is handed on as it comes may go on while it brings something. Who is waited for must bring
//       `bytes_min` in each `window_ms`, and on the mean `mean_bytes_min` once `mean_windows` of them have been waited.
//       Time that is not spent waiting for them does not count, however silent they are meanwhile.
//   L3. Who has been answered and goes on sending has `LINGER_MS`, so that the answer arrives.

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { isProblem, problem, type Problem } from './problem.js';

export const HEAD_MS = 30_000;
export const BODY_MS = 30_000;
const LINGER_MS = 5_000;
/** How often Node looks for heads that are late. */
export const HEAD_CHECK_MS = 5_000;
const TICKS_OF_WINDOW = 20;

const CLOSE = { connection: 'close' };

export const late = () => problem('request-late', { detail: 'the request did not arrive in time', headers: CLOSE });

/** L3 */
export const endLingering = (http: FastifyInstance, linger_ms = LINGER_MS): void => {
  http.addHook('onResponse', ({ raw }, _reply, done) => {
    if (!raw.complete) {
      const timer = setTimeout(() => raw.destroy(), linger_ms);
      raw.once('close', () => clearTimeout(timer));
    }
    done();
  });
};

export const isLate = (error: unknown): boolean => isProblem(error, 'request-late');

export type Pace = Readonly<{ window_ms: number; bytes_min: number; mean_bytes_min: number; mean_windows: number }>;

/** Watches what comes of a body that is handed on, and ends the waiting for it once it has come to a stop (L2). */
export class Arrival {
  private readonly stopped = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private reason: Problem = late();
  private waiting = 0;
  private window_waited_ms = 0;
  private waited_ms = 0;
  private window_bytes = 0;
  private bytes = 0;
  private readonly count = (chunk: Buffer) => {
    this.window_bytes += chunk.length;
    this.bytes += chunk.length;
    const refusal = this.refusalOf(this.bytes);
    if (!refusal) return;
    // Whoever takes it may be busy for long: until then no more of it is read.
    this.raw.unpipe();
    this.stop(refusal);
  };

  /**
   * The body is being piped somewhere already: this alone would let it run away. `refusalOf` says why so many bytes are
   * too many.
   */
  constructor(
    private readonly raw: IncomingMessage,
    private readonly pace: Pace,
    private readonly refusalOf: (bytes: number) => Problem | undefined,
  ) {
    raw.on('data', this.count);
    const tick_ms = pace.window_ms / TICKS_OF_WINDOW;
    this.timer = setInterval(() => this.look(tick_ms), tick_ms);
  }

  /** What `work` comes to, unless the body comes to a stop before, or has come to one while nobody waited. */
  async unlessStopped<Value>(work: Promise<Value>): Promise<Value> {
    const { signal } = this.stopped;
    if (signal.aborted) throw this.reason;
    const stop = Promise.withResolvers<never>();
    const end = () => stop.reject(this.reason);
    signal.addEventListener('abort', end, { once: true });
    this.waiting += 1;
    try {
      return await Promise.race([work, stop.promise]);
    } finally {
      this.waiting -= 1;
      signal.removeEventListener('abort', end);
    }
  }

  end(): void {
    clearInterval(this.timer);
    this.raw.off('data', this.count);
  }

  private stop(reason: Problem): void {
    if (this.stopped.signal.aborted) return;
    this.reason = reason;
    this.stopped.abort();
  }

  private look(tick_ms: number): void {
    const { window_ms, bytes_min, mean_bytes_min, mean_windows } = this.pace;
    if (this.waiting > 0) this.waited_ms += tick_ms;
    const windows = this.waited_ms / window_ms;
    if (windows > mean_windows && this.bytes < windows * mean_bytes_min) this.stop(late());
    if (this.window_bytes >= bytes_min) {
      this.window_bytes = 0;
      this.window_waited_ms = 0;
    } else if (this.waiting > 0) {
      this.window_waited_ms += tick_ms;
      if (this.window_waited_ms >= window_ms) this.stop(late());
    }
  }
}
