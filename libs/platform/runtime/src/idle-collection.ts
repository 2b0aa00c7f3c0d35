// Idle collection: what a process has worked with and does not need any more goes back to the machine when nobody
// waits.
//
//   I1. It follows work, and happens once after it: a process that has done nothing has nothing to give back.
//   I2. The process has been quiet for a while before, so that hardly anybody can meet the pause it makes.
//   I3. While there is work V8 collects as it sees fit: nothing here takes its place.

import { performance } from 'node:perf_hooks';

const CHECK_MS = 2_000;
/** Shares of the time in which the event loop was busy. */
const WORKING = 0.2;
const QUIET = 0.05;
/** Of that many checks one after the other. */
const QUIET_CHECKS = 2;

/** Says of each reading of how busy the process was whether it is time to collect. */
export class Quietness {
  private owed = false;
  private quiet = 0;

  saw(utilization: number): boolean {
    if (utilization >= WORKING) this.owed = true;
    this.quiet = utilization < QUIET ? this.quiet + 1 : 0;
    if (!this.owed || this.quiet < QUIET_CHECKS) return false;
    this.owed = false;
    return true;
  }
}

/** Where Node was started without `--expose-gc` this does nothing. Returns what ends it. */
export const startIdleCollection = (collect = globalThis.gc): (() => void) => {
  if (!collect) return () => undefined;
  const quietness = new Quietness();
  let last = performance.eventLoopUtilization();
  const check = () => {
    const { utilization } = performance.eventLoopUtilization(last);
    if (quietness.saw(utilization)) collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    // What the collection itself took is no work.
    last = performance.eventLoopUtilization();
  };
  const timer = setInterval(check, CHECK_MS).unref();
  return () => clearInterval(timer);
};
