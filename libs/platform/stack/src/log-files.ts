// The output of each process: one file, the one before it, and a bound on both.

import { copyFileSync, existsSync, readFileSync, renameSync, statSync, truncateSync } from 'node:fs';

const BYTES_MAX = 32 * 1024 * 1024;
const CHECK_MS = 10_000;
const TAIL_LINES = 20;

export const rotate = (path: string): void => {
  if (existsSync(path)) renameSync(path, `${path}.1`);
};

/** The writer holds the file open for appending, so it is emptied in place: the next line begins the file. */
const bound = (path: string): void => {
  if (!existsSync(path) || statSync(path).size <= BYTES_MAX) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
};

/** Keeps the files within their bound until the timer it returns is cleared. */
export const boundFiles = (paths: () => readonly string[], onFault: (error: unknown) => void): NodeJS.Timeout => {
  const check = () => {
    try {
      paths().forEach(bound);
    } catch (error) {
      // A full disk must not end the supervisor, which is the one to bring the components back.
      onFault(error);
    }
  };
  return setInterval(check, CHECK_MS).unref();
};

export const tail = (path: string): string =>
  existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n') : '';
