import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartFault, writingTo } from './fault.js';

/** Makes the data folder. As root, PostgreSQL's user must be able to pass through it; everything in it is closed. */
export const prepareFolder = (data_dir: string): void =>
  writingTo(data_dir, () => {
    mkdirSync(data_dir, { recursive: true, mode: 0o700 });
    if (process.getuid?.() === 0) chmodSync(data_dir, (statSync(data_dir).mode & 0o777) | 0o011);
    mkdirSync(join(data_dir, 'logs'), { recursive: true, mode: 0o700 });
    const probe = join(data_dir, `.writable.${process.pid}`);
    writeFileSync(probe, 'x', { mode: 0o600, flush: true });
    rmSync(probe);
  });

/** The program of this name on PATH, by its whole path. */
export const onPath = (program: string): string => {
  try {
    return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { encoding: 'utf8' }).trim();
  } catch (error) {
    throw new StartFault(`${program} is not on PATH`, { cause: error });
  }
};
