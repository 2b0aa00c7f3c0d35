// The operator key, from where it may come: the data folder, the environment, standard input, or a person. Never from
// an option, which every user of the machine could read.

import { readFileSync } from 'node:fs';
import { EXIT } from './exit-codes.js';
import { CliFault, hasCode } from './fault.js';

export type KeySources = Readonly<{
  file: string | undefined;
  environment: string | undefined;
  from_stdin: boolean;
  stdin: NodeJS.ReadStream;
  err: NodeJS.WriteStream;
}>;

const INTERRUPT = '\u0003';
const END = '\u0004';
const ERASE = ['\u007f', '\b'];

const readAll = async (stdin: NodeJS.ReadStream): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8').trim();
};

const interrupted = (): CliFault => new CliFault({ code: 'interrupted', what: 'interrupted', exit: EXIT.interrupted });

/** What is typed is not shown. */
const prompt = ({ stdin, err }: KeySources): Promise<string> =>
  new Promise((resolve, reject) => {
    err.write('Operator key: ');
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    let typed = '';
    const end = (finish: () => void) => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      err.write('\n');
      finish();
    };
    const take = (text: string) => {
      for (const character of text) {
        if (character === INTERRUPT) return end(() => reject(interrupted()));
        if (character === '\r' || character === '\n' || character === END) return end(() => resolve(typed.trim()));
        typed = ERASE.includes(character) ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', take);
    stdin.resume();
  });

const readFile = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'EPERM')) throw error;
    throw new CliFault({
      code: 'operator-key-unreadable',
      what: `the operator key cannot be read from ${file}`,
      next: 'give it in OPERATOR_KEY or with --operator-key-stdin',
      exit: EXIT.credential,
      cause: error,
    });
  }
};

/** Asked for at most once. */
export const operatorKeyFrom = (sources: KeySources): (() => Promise<string>) => {
  const { file, environment, from_stdin, stdin, err } = sources;
  const read = async (): Promise<string> => {
    if (from_stdin) return readAll(stdin);
    if (environment !== undefined) return environment;
    if (file !== undefined) return readFile(file);
    if (stdin.isTTY && err.isTTY) return prompt(sources);
    throw new CliFault({
      code: 'operator-key-missing',
      what: 'the operator key is needed, and there is none',
      next: 'give it in OPERATOR_KEY, with --operator-key-stdin, or in a terminal',
      exit: EXIT.credential,
    });
  };
  let known: Promise<string> | undefined;
  return () => (known ??= read());
};
