// Porcupine, a checker that others wrote, in Go: asked wherever Go and its module are to be had.

import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { History, Model } from './linearizability.js';

const SOURCES = resolve(import.meta.dirname, '../drills/porcupine');
const FETCH_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 2 ** 26;

export type Porcupine = Readonly<{ illegalAmong: (model: Model, histories: readonly History[]) => string[] }>;

const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;

/** Why it cannot be had, where it cannot. */
export const openPorcupine = (): Porcupine | Readonly<{ missing: string }> => {
  const go = (args: readonly string[], timeout?: number) =>
    execFileSync('go', args, { cwd: SOURCES, stdio: ['ignore', 'pipe', 'pipe'], ...(timeout ? { timeout } : {}) });
  try {
    go(['mod', 'download'], FETCH_MS_MAX);
  } catch (error) {
    return { missing: hasCode(error, 'ENOENT') ? 'Go is not on PATH' : 'the Go module of porcupine is not to be had' };
  }
  const program = join(mkdtempSync(join(tmpdir(), 'nexusmon-porcupine-')), 'porcupine');
  go(['build', '-o', program, '.']);
  return {
    illegalAmong: (model, histories) => {
      const input = JSON.stringify({ model, histories: histories.map(withoutInfinity) });
      return JSON.parse(execFileSync(program, { input, maxBuffer: ANSWER_BYTES_MAX }).toString()) as string[];
    },
  };
};

/** What never returned has no time that JSON could say. */
const withoutInfinity = ({ operations, ...history }: History) => ({
  ...history,
  operations: operations.map((operation) =>
    Number.isFinite(operation.returned) ? operation : { ...operation, returned: 0 },
  ),
});
