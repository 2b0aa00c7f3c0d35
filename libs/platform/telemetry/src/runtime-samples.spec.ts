import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { startRuntimeSamples, type RuntimeSamples } from './runtime-samples.js';

let samples: RuntimeSamples;
afterEach(() => samples.stop());

const until = async (holds: () => boolean) => {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(JSON.stringify(samples.last()));
    await pause(10);
  }
};

/** Hardly ever lets go of the event loop, until told to. */
const spinning = () => {
  let goes_on = true;
  const turn = () => {
    const end = performance.now() + 15;
    while (performance.now() < end);
    if (goes_on) setImmediate(turn);
  };
  turn();
  return () => (goes_on = false);
};

describe('samples of a process', () => {
  it('count for how long the event loop has had no pause, and forget it with the first', async () => {
    samples = startRuntimeSamples(50);
    const first = samples.last();
    const stop = spinning();
    await until(() => samples.last().busy_ms >= 200);
    expect(samples.last().event_loop_utilization).toBeGreaterThan(0.9);
    expect(samples.last().cpu_ms).toBeGreaterThan(first.cpu_ms);
    expect(samples.last().ts > first.ts).toBe(true);
    stop();
    await until(() => samples.last().busy_ms === 0);
  });

  it('end with the process that takes them', async () => {
    samples = startRuntimeSamples(5);
    samples.stop();
    const { ts } = samples.last();
    await pause(50);
    expect(samples.last().ts).toBe(ts);
  });
});
