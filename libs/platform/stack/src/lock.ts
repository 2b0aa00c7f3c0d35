// One instance per data folder.
//
//   L1. The lock names its holder by pid and start time; a holder that is gone holds nothing.
//   L2. The lock file appears with its content in it: it is made elsewhere and linked into place.
//   L3. Who takes over a dead holder's lock looks again afterwards: of two who try at once, one keeps it.
//   L4. A holder that is stopping is waited for.

import { randomUUID } from 'node:crypto';
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, StartFault } from './fault.js';
import { readIfThere, replaceFile } from './files.js';
import { isAlive, recordOf, type ProcessRecord } from './identity.js';

const STOPPING_WAIT_MS_MAX = 15_000;
/** One whose starter has just been killed takes a moment to see it. */
const NOTICE_MS = 600;
const PAUSE_MS = 50;

type Holder = ProcessRecord & Readonly<{ stopping?: boolean }>;

export type FolderLock = Readonly<{ stopping: () => void; release: () => void }>;

const parseHolder = (text: string | undefined): Holder | undefined => {
  if (text === undefined || text.trim() === '') return undefined;
  return JSON.parse(text) as Holder;
};

const tryLink = (path: string, content: string): boolean => {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, content, { mode: 0o600 });
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
};

/** Between reading and moving, another start may have done the same and locked: what was moved is then put back. */
const putAside = (path: string, dead: string | undefined, content: string): void => {
  const aside = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  const moved = readIfThere(aside);
  if (moved !== dead && moved !== undefined) tryLink(path, moved);
  else tryLink(path, content);
  rmSync(aside, { force: true });
};

export const lockFolder = async (data_dir: string): Promise<FolderLock> => {
  const path = join(data_dir, 'lock');
  const self = recordOf('supervisor', process.pid);
  if (!self) throw new Error('the start time of this process cannot be read');
  const own = { ...self, token: randomUUID() };
  const content = JSON.stringify(own);
  const began = performance.now();
  while (!tryLink(path, content)) {
    const found = readIfThere(path);
    if (found === content) break;
    const holder = parseHolder(found);
    if (!holder || !isAlive(holder)) putAside(path, found, content);
    else if (performance.now() - began > (holder.stopping ? STOPPING_WAIT_MS_MAX : NOTICE_MS))
      throw new StartFault(
        `another instance (process ${holder.pid}) runs on ${data_dir}: stop it, or choose another --data-dir`,
      );
    await delay(PAUSE_MS);
  }
  await delay(PAUSE_MS);
  if (readIfThere(path) !== content) return lockFolder(data_dir);
  return {
    stopping: () => replaceFile(path, JSON.stringify({ ...own, stopping: true })),
    release: () => rmSync(path, { force: true }),
  };
};
