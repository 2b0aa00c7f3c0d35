// A component that runs and has stopped working, as it says itself: it is started again once what it lacked is there.
//
//   S1. While there is no room it is left as it is: what does not need room still works.
//   S2. Whether there is room is tried and not read: a quota, or what is kept for root, shows in no figure.
//   S3. One that stops working again and again is not started more often than that.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Component } from './component.js';
import { hasCode } from './fault.js';
import type { Report } from './report.js';

const CHECK_MS = 2_000;
const STARTS_APART_MS = 10_000;
const STOP_GRACE_MS = 3_000;
const ROOM_BYTES = 1024 * 1024;

export const hasRoom = (folder: string): boolean => {
  const trial = join(folder, 'room.trial');
  try {
    writeFileSync(trial, Buffer.alloc(ROOM_BYTES), { mode: 0o600, flush: true });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOSPC', 'EDQUOT', 'EROFS')) return false;
    throw error;
  } finally {
    rmSync(trial, { force: true });
  }
};

export type StallWatch = Readonly<{ follow: (component: Component) => void }>;

export type StallWatchOptions = Readonly<{
  /** Where it needs room. */
  folder: string;
  report: Report;
  onFault: (error: unknown) => void;
  signal: AbortSignal;
}>;

/** Looks after each component it is told to follow until that ends; whoever keeps it running starts the next. */
export const watchStalls = ({ folder, report, onFault, signal }: StallWatchOptions): StallWatch => {
  let started_at = 0;

  const check = async (component: Component, told: boolean): Promise<boolean> => {
    const reason = await component.stalled?.();
    if (reason === undefined) return false;
    const { name } = component;
    if (!told) report.say('stalled', `${name} ${reason}; it is started again when there is room`, { name, reason });
    if (hasRoom(folder) && performance.now() - started_at > STARTS_APART_MS) await component.stop(STOP_GRACE_MS);
    return true;
  };

  const follow = (component: Component): void => {
    started_at = performance.now();
    let over = signal.aborted;
    let told = false;
    const next = () => {
      if (!over && !signal.aborted) setTimeout(() => void look(), CHECK_MS).unref();
    };
    const look = async () => {
      try {
        told = await check(component, told);
      } catch (error) {
        // It may just be ending, which whoever keeps it running sees as well.
        if (!over) onFault(error);
      }
      next();
    };
    void component.exited.then(() => {
      over = true;
    });
    next();
  };
  return { follow };
};
