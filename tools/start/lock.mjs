// One worker per step and machine.
//
//   L1. The lock appears with its holder's pid in it, and a holder that is gone holds nothing.
//   L2. Who waited looks again whether there is anything left to do.

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 100;
/** A holder touches nothing while it works; one that has worked for longer than this was a pid given out again. */
const AGE_MS_MAX = 60 * 60_000;

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM'; // Alive, and somebody else's.
  }
};

const read = (path) => {
  try {
    return { pid: Number(readFileSync(path, 'utf8')), age_ms: Date.now() - statSync(path).mtimeMs };
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
};

const tryLock = (path) => {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
};

/** Between reading and moving, another may have done the same and locked: what was moved by mistake is put back. */
const putAside = (path, dead) => {
  const aside = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, aside);
    if (read(aside)?.pid !== dead) linkSync(aside, path);
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error;
  }
  rmSync(aside, { force: true });
};

/** Does the work under the lock; `onWait` hears once that somebody else is at it. */
export const withLock = async (path, work, onWait = () => undefined) => {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!tryLock(path)) {
    const holder = read(path);
    if (holder && (!isAlive(holder.pid) || holder.age_ms > AGE_MS_MAX)) putAside(path, holder.pid);
    else {
      if (holder && !told) onWait(holder.pid);
      told = true;
      await delay(PAUSE_MS);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
};
