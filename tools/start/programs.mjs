// The two servers that npm does not carry: found on PATH, else in the cache, else built by Go.
//
//   G1. Versions are pinned; Go checks the sources against its checksum database.
//   G2. The cache is outside every clone, by version. A program appears in it whole, by a rename.
//   G3. A nats-server older than the log needs is not used, wherever it lies.

import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StartFault } from './fault.mjs';
import { withLock } from './lock.mjs';

const ERROR_LINES = 15;

export const PROGRAMS = {
  nats_server: {
    program: 'nats-server',
    module: 'github.com/nats-io/nats-server/v2',
    version: 'v2.15.2',
    cached: 'nats-server-2.15.2',
    outside: 'NATS_URL',
    /** What 2.14 lacks is part of how the log is kept. */
    isUsable: (text) => {
      const [, major, minor] = /v?(\d+)\.(\d+)\.\d+/.exec(text) ?? [];
      return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 15);
    },
    minutes: 'half a minute',
  },
  minio: {
    program: 'minio',
    module: 'github.com/minio/minio',
    version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
    cached: 'minio-20260212201848',
    outside: 'S3_ENDPOINT',
    isUsable: (text) => /^minio version/m.test(text),
    minutes: 'about two minutes',
  },
};

export const cacheFolder = (environment) =>
  environment.NEXUSMON_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'nexusmon');

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'EPERM', 'ELOOP', 'ENAMETOOLONG'].includes(error.code)) return false;
    throw error;
  }
};

const onPath = (program, environment) =>
  (environment.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .filter(isExecutable);

/** A program that does not even tell its version is not the one we look for. */
const versionOf = async (path) => {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 20_000 });
    return stdout;
  } catch (error) {
    if (error.code === undefined && error.signal === undefined) throw error;
    return '';
  }
};

const firstUsable = async (paths, isUsable) => {
  for (const path of paths) if (isUsable(await versionOf(path))) return path;
  return undefined;
};

/** Runs a command to its end; its output is kept for the case that it fails. `started` hears of the child. */
export const run = (command, args, { started = () => undefined, ...options }) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    const keep = (chunk) =>
      lines.push(...String(chunk).split('\n').filter(Boolean)) && lines.splice(0, lines.length - 200);
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, tail: lines.slice(-ERROR_LINES).join('\n') }));
    started(child);
  });

/** Under the lock, so that what lies there unfinished is nobody's any more. */
const removeUnfinished = (target) => {
  for (const name of readdirSync(dirname(target)))
    if (name.startsWith(`${basename(target)}.part-`))
      rmSync(join(dirname(target), name), { recursive: true, force: true });
};

const build = async ({ program, module, version }, target, environment, started) => {
  removeUnfinished(target);
  const folder = mkdtempSync(`${target}.part-`);
  try {
    const args = ['install', '-trimpath', '-ldflags=-s -w', `${module}@${version}`];
    const env = { ...environment, GOBIN: folder, CGO_ENABLED: '0', GOFLAGS: '', GOOS: '', GOARCH: '' };
    const { code, tail } = await run('go', args, { cwd: folder, env, started });
    if (code !== 0) throw new StartFault(`${program} could not be built with Go:\n${tail}`);
    renameSync(join(folder, program), target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const makeCache = (cache, folder) => {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new StartFault(`the cache ${cache} cannot be written (${error.code}); set NEXUSMON_CACHE`, { cause: error });
  }
};

/** The path of one program, made if need be. `say` hears what takes long; `started` of each child that is run. */
export const ensureProgram = async (name, environment, { say = () => undefined, started = () => undefined } = {}) => {
  const wanted = PROGRAMS[name];
  const found = await firstUsable(onPath(wanted.program, environment), wanted.isUsable);
  if (found) return found;
  const cache = cacheFolder(environment);
  const target = join(cache, wanted.cached, wanted.program);
  if (isExecutable(target)) return target;

  if (onPath('go', environment).length === 0)
    throw new StartFault(
      `${wanted.program} is neither on PATH nor in ${cache}, and Go is not on PATH to build it: ` +
        `install Go (https://go.dev/dl) or ${wanted.program}${name === 'nats_server' ? ' 2.15 or newer' : ''}, ` +
        `or set ${wanted.outside}`,
    );
  makeCache(cache, dirname(target));
  const waiting = (pid) => say(`${wanted.program} is being built by process ${pid}; waiting for it`);
  await withLock(
    `${target}.lock`,
    async () => {
      if (existsSync(target)) return;
      say(`building ${wanted.program} with Go, once (${wanted.minutes})`);
      await build(wanted, target, environment, started);
    },
    waiting,
  );
  return target;
};
