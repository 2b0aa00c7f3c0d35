import { readFile } from 'node:fs/promises';
import { EXIT } from './exit-codes.js';
import { CliFault, hasCode } from './fault.js';

/** The text of a file; `-` is standard input. */
export const readInput = async (name: string): Promise<string> => {
  if (name === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }
  try {
    return await readFile(name, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'ENOTDIR')) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CliFault({ code: 'usage', what: `${name} cannot be read`, why, exit: EXIT.usage, cause: error });
  }
};
