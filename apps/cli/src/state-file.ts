import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode } from './fault.js';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** A small JSON file of this user alone. What is not there, or is no JSON, counts as nothing. */
export class StateFile {
  constructor(readonly path: string) {}

  read(): unknown {
    try {
      return JSON.parse(readFileSync(this.path, 'utf8'));
    } catch (error) {
      if (error instanceof SyntaxError || hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Replaced as a whole: two commands at once never read half of it. */
  write(value: unknown): void {
    const part = `${this.path}.${process.pid}.part`;
    mkdirSync(dirname(this.path), { recursive: true, mode: FOLDER_MODE });
    rmSync(part, { force: true });
    writeFileSync(part, `${JSON.stringify(value)}\n`, { mode: FILE_MODE, flag: 'wx' });
    renameSync(part, this.path);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
