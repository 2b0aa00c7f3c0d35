// Deadlines: nobody holds a connection by sending slowly, and nobody is cut off for sending much.
//
//   L1. Head: within `HEAD_MS`. A body that is read whole: within `BODY_MS` of its head.
//   L2. A body that is handed on as it comes may take any time while it brings something. Who is waited for must bring
//       `bytes_min` in each `window_ms`; time that is not spent waiting for them does not count.
//   L3. Who has been answered and goes on sending has `LINGER_MS`, so that the answer arrives.

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { problem } from './problem.js';

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

export type Pace = Readonly<{ window_ms: number; bytes_min: number }>;

/** Watches what comes of a body that is handed on, and says when it has come to a stop (L2). */
export class Arrival {
  private readonly stopped = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private waiting = 0;
  private waited_ms = 0;
  private bytes = 0;
  private readonly count = (chunk: Buffer) => {
    this.bytes += chunk.length;
  };

  /** The body is being piped somewhere already: this alone would let it run away. */
  constructor(
    private readonly raw: IncomingMessage,
    { window_ms, bytes_min }: Pace,
  ) {
    raw.on('data', this.count);
    const tick_ms = window_ms / TICKS_OF_WINDOW;
    this.timer = setInterval(() => this.look(tick_ms, window_ms, bytes_min), tick_ms);
  }

  /** What `work` comes to, unless the body comes to a stop before. */
  async unlessStopped<Value>(work: Promise<Value>): Promise<Value> {
    const { signal } = this.stopped;
    if (signal.aborted) throw late();
    const stop = Promise.withResolvers<never>();
    const end = () => stop.reject(late());
    signal.addEventListener('abort', end, { once: true });
    this.waiting += 1;
    try {
      return await Promise.race([work, stop.promise]);
    } finally {
      this.waiting -= 1;
      signal.removeEventListener('abort', end);
    }
  }

  get isStopped(): boolean {
    return this.stopped.signal.aborted;
  }

  end(): void {
    clearInterval(this.timer);
    this.raw.off('data', this.count);
  }

  private look(tick_ms: number, window_ms: number, bytes_min: number): void {
    if (this.bytes >= bytes_min) {
      this.bytes = 0;
      this.waited_ms = 0;
    } else if (this.waiting > 0) {
      this.waited_ms += tick_ms;
      if (this.waited_ms >= window_ms) this.stopped.abort();
    }
  }
}
