// Which NEXUSMON is asked.
//
//   P1. What is named counts more than what is found: --url or --data-dir, then NEXUSMON_DATA, then the nearest
//       `.nexusmon` from the working folder upwards.
//   P2. A stack is found by the run.json of its folder, which is there exactly while it is up.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EXIT } from './exit-codes.js';
import { CliFault, hasCode } from './fault.js';

const FOLDER = '.nexusmon';

export type Wanted = Readonly<{ url?: string | undefined; data_dir?: string | undefined }>;

/** `data_dir` and `operator_key_file` are known of a stack on this machine. */
export type Place = Readonly<{ url: string; data_dir?: string; operator_key_file?: string }>;

const nearest = (from: string): string | undefined => {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, FOLDER))) return join(folder, FOLDER);
    if (folder === dirname(folder)) return undefined;
  }
};

const startCommand = (data_dir: string): string => `npm start -- --data-dir ${data_dir}`;

const readRunFile = (data_dir: string): string => {
  try {
    return readFileSync(join(data_dir, 'run.json'), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR'))
      throw new CliFault({
        code: 'not-running',
        what: `nothing runs on ${data_dir}`,
        why: existsSync(data_dir) ? 'there is no run.json in it' : 'there is no such folder',
        next: startCommand(data_dir),
        exit: EXIT.unavailable,
        cause: error,
      });
    if (hasCode(error, 'EACCES', 'EPERM'))
      throw new CliFault({
        code: 'not-readable',
        what: `${data_dir} is not yours to read`,
        next: 'ask as the user that started it, or with --url',
        exit: EXIT.credential,
        cause: error,
      });
    throw error;
  }
};

type RunFile = Readonly<{ gateway_url: string; operator_key_file: string }>;

const isRunFile = (value: unknown): value is RunFile =>
  typeof value === 'object' &&
  value !== null &&
  'gateway_url' in value &&
  typeof value.gateway_url === 'string' &&
  'operator_key_file' in value &&
  typeof value.operator_key_file === 'string';

const runFileOf = (data_dir: string): RunFile => {
  const text = readRunFile(data_dir);
  let run: unknown;
  try {
    run = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (isRunFile(run)) return run;
  throw new CliFault({
    code: 'run-file-invalid',
    what: `${join(data_dir, 'run.json')} is not the note of a running stack`,
    next: startCommand(data_dir),
    exit: EXIT.unavailable,
  });
};

export const placeOfFolder = (folder: string): Place => {
  const data_dir = resolve(folder);
  const { gateway_url: url, operator_key_file } = runFileOf(data_dir);
  return { url, data_dir, operator_key_file };
};

const usage = (what: string, next: string): CliFault => new CliFault({ code: 'usage', what, next, exit: EXIT.usage });

const urlOf = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.origin;
  throw usage(`--url ${text} is not an http or https address`, 'give it as http://127.0.0.1:8000');
};

/** The data folder that is meant, whether anything runs on it or not. */
export const folderOf = ({ data_dir }: Wanted, environment: Wanted, working_dir: string): string => {
  const folder = data_dir ?? environment.data_dir ?? nearest(working_dir);
  if (folder !== undefined) return resolve(working_dir, folder);
  throw usage(
    `no data folder is named, and there is no ${FOLDER} in ${working_dir} or above it`,
    'cd into the clone, or give --data-dir',
  );
};

export const findPlace = (wanted: Wanted, environment: Wanted, working_dir: string): Place => {
  if (wanted.url !== undefined && wanted.data_dir !== undefined)
    throw usage('--url and --data-dir name two places', 'give one of them');
  if (wanted.url !== undefined) return { url: urlOf(wanted.url) };
  const folder = wanted.data_dir ?? environment.data_dir ?? nearest(working_dir);
  if (folder !== undefined) return placeOfFolder(resolve(working_dir, folder));
  throw usage(
    `no data folder is named, and there is no ${FOLDER} in ${working_dir} or above it`,
    'cd into the clone, or give --data-dir or --url',
  );
};
