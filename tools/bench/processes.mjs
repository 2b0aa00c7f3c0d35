// What processes use, as Linux tells it.

import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** A process and all its descendants; those that ended meanwhile are left out. */
export const tree = (root) => {
  const children = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statOf(entry)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
};

const readProc = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
};

const statOf = (pid) => {
  const text = readProc(pid, 'stat');
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // Children that have been waited for are counted too: PostgreSQL's backends come and go.
  const ticks = [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index]), 0);
  return { parent: Number(fields[1]), ticks };
};

const sum = (pids, of) => pids.reduce((total, pid) => total + of(pid), 0);

/** CPU seconds that these processes have used so far. */
export const cpuSeconds = (pids) => sum(pids, (pid) => (statOf(pid)?.ticks ?? 0) / TICKS_PER_SECOND);

/** Their proportional set size in MiB: a page that several processes map is divided among them. */
export const pssMiB = (pids) =>
  sum(pids, (pid) => Number(/^Pss:\s+(\d+)/m.exec(readProc(pid, 'smaps_rollup') ?? '')?.[1] ?? 0) / 1_024);
