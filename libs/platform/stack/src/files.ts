import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode } from './fault.js';

/** A reader sees the old content or the new, never a part, and never with more rights than asked. */
export const replaceFile = (path: string, content: string, mode = 0o600): void => {
  const part = `${path}.${process.pid}.part`;
  rmSync(part, { force: true });
  writeFileSync(part, content, { mode, flag: 'wx', flush: true });
  renameSync(part, path);
};

export const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};
