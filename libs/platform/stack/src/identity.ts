// Which process a pid stands for.
//
//   I1. A pid alone proves nothing: it is given out again. A process is its pid together with the time it started.
//   I2. What cannot be established is not ours: nothing is killed on a guess.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hasCode } from './fault.js';

export type ProcessRecord = Readonly<{ name: string; pid: number; started: string }>;

/** Field 22 of /proc/<pid>/stat; the second field is in parentheses and may itself hold spaces and parentheses. */
export const startFromStat = (stat: string): string | undefined => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; only its parent's notice of it is outstanding.
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
};

const startFromProc = (pid: number): string | undefined => {
  try {
    return startFromStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
};

const startFromPs = (pid: number): string | undefined => {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '').replaceAll(/\s+/g, '_');
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 1) return undefined;
    throw error;
  }
};

/** When the process with this pid started, in words that are only ever compared; undefined when there is none. */
export const startOf = (pid: number): string | undefined =>
  process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);

export const recordOf = (name: string, pid: number): ProcessRecord | undefined => {
  const started = startOf(pid);
  return started === undefined ? undefined : { name, pid, started };
};

export const isAlive = ({ pid, started }: ProcessRecord): boolean => startOf(pid) === started;
