// From a fresh clone to the supervisor, with Node 20 or newer and Go and nothing else.
//
//   T1. Each step runs only when what it makes is missing or out of date, and says how long it took.
//   T2. Two starts at once from one clone never do the same step twice: one works, the other waits.
//   T3. What a person can put right is said in one message; a stack trace is for our own faults.
//   T4. It becomes the supervisor, so that there is one process to signal and to wait for. Where Node cannot do that
//       (before 22.15), it stays, hands signals on, and ends as the supervisor ends.
//
// No dependencies, and no syntax newer than Node 20's.

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { constants as os_constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArguments, readEnvironment, USAGE } from './arguments.mjs';
import { StartFault } from './fault.mjs';
import { makeFolder } from './folder.mjs';
import { install } from './install.mjs';
import { ensureProgram, PROGRAMS } from './programs.mjs';
import { startProgress } from './progress.mjs';

const NODE_WANTED = 24;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Whoever started us; asked at once, because later it may have gone. */
const PARENT = process.ppid;
const ROOT = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..', '..'));

/** Before minutes of building: the folder everything is kept in must be writable. */
const checkFolder = (folder) => {
  try {
    makeFolder(folder, 0o700);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error.code === undefined) throw error;
    throw new StartFault(
      `the data folder ${folder} cannot be written (${error.code}); choose another with --data-dir`,
      {
        cause: error,
      },
    );
  }
};

/** Node 24 itself, or the one the lockfile brings for this platform. */
const findNode = () => {
  if (Number(process.versions.node.split('.')[0]) >= NODE_WANTED) return process.execPath;
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const path = join(ROOT, 'node_modules', `node-${platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(path)) return path;
  throw new StartFault(
    `the services need Node ${NODE_WANTED}; npm has none for ${platform}-${process.arch}, and this is ` +
      `${process.versions.node}: install Node ${NODE_WANTED} and start again`,
  );
};

const build = async () => {
  const builder = await import(pathToFileURL(join(ROOT, 'tools', 'build.mjs')).href);
  try {
    await builder.build(ROOT);
  } catch (error) {
    if (!(error instanceof builder.BuildFault)) throw error;
    throw new StartFault(`the sources could not be built:\n${error.message}`, { cause: error });
  }
};

/** The first that fails calls the others off. */
const together = async (children, ...work) => {
  try {
    return await Promise.all(work);
  } catch (error) {
    for (const child of children) child.kill('SIGTERM');
    throw error;
  }
};

const prepare = async (environment, progress, children) => {
  const started = (child) => {
    children.add(child);
    child.once('close', () => children.delete(child));
  };
  const hooks = { say: progress.say, started };
  const programOf = (name) =>
    environment[PROGRAMS[name].outside]
      ? undefined
      : progress.step(`get ${PROGRAMS[name].program}`, () => ensureProgram(name, environment, hooks));
  const ours = async () => {
    await progress.step('install packages', () => install(ROOT, environment, hooks));
    const node = findNode();
    await progress.step('build', build);
    return node;
  };
  const [node, nats_server, minio] = await together(children, ours(), programOf('nats_server'), programOf('minio'));
  return { node, binaries: { ...(nats_server ? { nats_server } : {}), ...(minio ? { minio } : {}) } };
};

/** Its heap stays small, and so does what each of its threads would keep for itself. */
const FLAGS = ['--max-old-space-size=80', '--max-semi-space-size=1'];
const SMALL = { MALLOC_ARENA_MAX: '1' };

const supervisorOf = (environment, settings) => ({
  args: [...FLAGS, join(ROOT, 'tools', 'start', 'supervisor.mjs')],
  env: { ...environment, ...SMALL, NEXUSMON_START: JSON.stringify(settings) },
});

/** npm that was killed cannot hand on a signal. A shell leaves alone what it has started, and so do we. */
const becomeSupervisor = (node, environment, settings) => {
  const parent = environment.npm_lifecycle_event === 'start' ? { parent: PARENT } : {};
  const { args, env } = supervisorOf(environment, { ...settings, ...parent });
  process.chdir(ROOT);
  process.execve(node, [node, ...args], env);
};

const runSupervisor = (node, environment, settings) =>
  new Promise((resolve, reject) => {
    const { args, env } = supervisorOf(environment, { ...settings, parent: process.pid });
    const child = spawn(node, args, { cwd: ROOT, env, stdio: 'inherit' });
    for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal === null ? code : 128 + os_constants.signals[signal]));
  });

const start = async (began_at) => {
  const environment = readEnvironment(ROOT);
  const by_npm = environment.npm_lifecycle_event === 'start' && environment.INIT_CWD;
  const typed = by_npm ? environment.INIT_CWD : process.cwd();
  const { help, ...options } = parseArguments(process.argv.slice(2), environment, { typed, working: process.cwd() });
  if (help) {
    console.log(USAGE);
    return 0;
  }
  checkFolder(options.data_dir);
  const progress = startProgress(options.json);
  const children = new Set();
  const interrupted = (signal) => {
    for (const child of children) child.kill('SIGTERM');
    process.exit(128 + os_constants.signals[signal]);
  };
  for (const signal of SIGNALS) process.on(signal, interrupted);
  const { node, binaries } = await prepare(environment, progress, children);
  for (const signal of SIGNALS) process.off(signal, interrupted);
  progress.end();
  const data_dir = realpathSync(options.data_dir);
  const settings = { ...options, root: ROOT, data_dir, working_dir: typed, began_at, binaries };
  return (process.execve ? becomeSupervisor : runSupervisor)(node, environment, settings);
};

export const main = async () => {
  const began_at = Date.now() - Math.round(performance.now());
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  try {
    process.exitCode = await start(began_at);
  } catch (error) {
    if (!(error instanceof StartFault)) throw error;
    console.error(`nexusmon: ${error.message}`);
    process.exitCode = error.exit_code;
  }
};
