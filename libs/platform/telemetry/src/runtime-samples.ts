// What the process costs, looked at once a second, so that whoever asks is told of a time that has passed and not of
// the moment in which the question itself keeps the process busy.

import { processReader } from './metrics.js';

const PERIOD_MS = 1_000;
/** Of a period: hardly a moment in which the event loop had nothing to do. */
const BUSY = 0.9;
const MILLISECONDS = 1_000;

export type RuntimeSample = Readonly<{
  /** When it was taken. */
  ts: string;
  /** CPU time of the process since its start. */
  cpu_ms: number;
  rss_bytes: number;
  /** Of the last second. */
  event_loop_utilization: number;
  /** For how long every second until now was a busy one. */
  busy_ms: number;
}>;

export type RuntimeSamples = Readonly<{ last: () => RuntimeSample; stop: () => void }>;

export const startRuntimeSamples = (period_ms = PERIOD_MS): RuntimeSamples => {
  const read = processReader();
  let taken_at = performance.now();
  let busy_ms = 0;
  const take = (): RuntimeSample => {
    const { cpu_seconds, rss_bytes, event_loop_utilization } = read();
    const now = performance.now();
    busy_ms = event_loop_utilization > BUSY ? busy_ms + (now - taken_at) : 0;
    taken_at = now;
    return {
      ts: new Date().toISOString(),
      cpu_ms: Math.round(cpu_seconds * MILLISECONDS),
      rss_bytes,
      event_loop_utilization,
      busy_ms: Math.round(busy_ms),
    };
  };
  let last = take();
  const timer = setInterval(() => (last = take()), period_ms);
  timer.unref();
  return { last: () => last, stop: () => clearInterval(timer) };
};
