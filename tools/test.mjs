// `npm test`: builds, checks and tests everything, each step through Nx, and ends with one line that says how it went.
//
//   T1. The last line is `N passed, 0 failed`, and the exit code 0, only when every step was clean: no failing test,
//       no warning, no spec that did not run, no skipped test without its reason, and at least one test.
//   T2. A step that fails without naming a test counts as one failure.
//   T3. NATS, PostgreSQL and MinIO are started once for all specs that need them, and stopped whatever happens.
//   T4. Two runs at once do not meet: free ports, folders of their own.

import { spawn } from 'node:child_process';
import fs, { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { StartFault } from './start/fault.mjs';
import { install } from './start/install.mjs';
import { ensureProgram } from './start/programs.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SPECS = ['apps/*/src/**/*.spec.ts', 'libs/**/src/**/*.spec.ts', 'tests/**/*.spec.ts', 'tools/**/*.spec.ts'];
const STEPS = [
  { name: 'build', needed: true },
  { name: 'typecheck' },
  { name: 'lint' },
  { name: 'arch' },
  { name: 'unit', tests: true },
  { name: 'integration', tests: true, servers: true },
  { name: 'e2e', tests: true, servers: true },
];
/** How a skipped test says why; libs/testing writes it. */
const REASON = / \[skipped: (.+)\]$/;

// Not imported by name: the Node that only starts the pinned one may not have it.
const specFiles = () => fs.globSync(SPECS, { cwd: ROOT, exclude: ['**/node_modules/**', '**/dist/**'] });

const importBuilt = (path) => import(pathToFileURL(join(ROOT, path)).href);

const environment = (run) => ({
  ...process.env,
  FORCE_COLOR: process.stdout.isTTY ? '1' : '0',
  NO_COLOR: undefined, // Beside the other one it makes every Node warn.
  // Nx finds `node` by name; it must be the one that runs this.
  PATH: [dirname(process.execPath), join(ROOT, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  NODE_OPTIONS: '',
  NX_DAEMON: 'false',
  NX_TUI: 'false',
  NX_NO_CLOUD: 'true',
  NEXUSMON_TEST_RESULTS: run,
  NEXUSMON_TEST_SERVERS: join(run, 'servers.json'),
});

const runStep = (name, run) =>
  new Promise((resolve, reject) => {
    const nx = realpathSync(join(ROOT, 'node_modules', '.bin', 'nx'));
    const child = spawn(process.execPath, [nx, 'run', `nexusmon:${name}`], {
      cwd: ROOT,
      env: environment(run),
      stdio: ['ignore', process.stdout.fd, process.stdout.fd], // One stream, so that what was said keeps its order.
    });
    const forward = (signal) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    child.on('error', reject).on('close', (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code === 0);
    });
  });

const readResults = (name, run) => {
  const path = join(run, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
};

/** What one group of specs said, in the words of the summary. */
const judge = (results) => {
  const outcome = { passed: 0, skipped: [], failures: [], files: [] };
  for (const { name, message, assertionResults } of results?.testResults ?? []) {
    const file = relative(ROOT, name);
    outcome.files.push(file);
    if (assertionResults.length === 0)
      outcome.failures.push(`${file}: ${message.trim().split('\n')[0] || 'no test in it'}`);
    for (const { status, fullName } of assertionResults) {
      const reason = REASON.exec(fullName)?.[1];
      if (status === 'passed') outcome.passed += 1;
      else if (status === 'pending' && reason) outcome.skipped.push({ test: fullName.replace(REASON, ''), reason });
      else if (status === 'failed') outcome.failures.push(`${file}: ${fullName}`);
      else outcome.failures.push(`${file}: ${fullName}: ${status === 'pending' ? 'skipped without a reason' : status}`);
    }
  }
  return outcome;
};

/** The servers' programs under their plain names, in a folder of this run: the cache keeps them by version. */
const linkPrograms = async (run) => {
  mkdirSync(join(run, 'bin'));
  const link = async (name, program) =>
    symlinkSync(await ensureProgram(name, process.env, { say: console.log }), join(run, 'bin', program));
  await Promise.all([link('nats_server', 'nats-server'), link('minio', 'minio')]);
  process.env.PATH = [join(run, 'bin'), process.env.PATH].join(delimiter);
};

/** Starts what the specs share, writes down where it is, and returns what stops it. */
const startServers = async (run) => {
  await linkPrograms(run);
  const { startServers: start } = await importBuilt('libs/testing/dist/servers.js');
  const { stop, ...servers } = await start(join(run, 'servers'));
  writeFileSync(join(run, 'servers.json'), JSON.stringify(servers), { mode: 0o600 });
  console.log(`servers: ${servers.kind}`);
  return stop;
};

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const runSteps = async (run, wanted, interrupted) => {
  const total = { passed: 0, skipped: [], failures: [], files: [], times: [] };
  let stopServers;
  const timed = async (name, work) => {
    const since = performance.now();
    console.log(`\n=== ${name}`);
    const done = await work();
    total.times.push({ name, time: seconds(since) });
    return done;
  };
  try {
    for (const { name, needed, tests, servers } of STEPS.filter((step) => wanted.includes(step.name))) {
      if (servers && !stopServers && specFiles().some((file) => /\.(int|e2e)\.spec\.ts$/.test(file)))
        stopServers = await timed('servers', () => startServers(run));
      const clean = await timed(name, () => runStep(name, run));
      const outcome = judge(tests ? readResults(`${name}.json`, run) : undefined);
      outcome.failures.push(...(readResults(`${name}.warnings.json`, run) ?? []));
      total.passed += outcome.passed;
      for (const kind of ['skipped', 'failures', 'files']) total[kind].push(...outcome[kind]);
      if (!clean && outcome.failures.length === 0) total.failures.push(`${name}: see above`);
      if (interrupted.aborted) total.failures.push('interrupted');
      if (interrupted.aborted || (!clean && needed)) return total;
    }
  } catch (error) {
    console.error(error);
    total.failures.push(`servers: ${error.message}`);
  } finally {
    await stopServers?.();
  }
  return total;
};

const report = ({ passed, skipped, failures, files, times }, wanted) => {
  const unseen = wanted.length === STEPS.length ? specFiles() : [];
  for (const file of unseen) if (!files.includes(file)) failures.push(`${file}: did not run`);
  if (passed === 0 && STEPS.some(({ name, tests }) => tests && wanted.includes(name))) failures.push('no test ran');

  console.log(`\n${times.map(({ name, time }) => `${name} ${time}`).join(' · ')}`);
  if (skipped.length > 0) console.log('\nSkipped:');
  for (const { test, reason } of skipped) console.log(`  ${test}: ${reason}`);
  if (failures.length > 0) console.log('\nFailed:');
  for (const failure of failures) console.log(`  ${failure}`);
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
  console.log(`\n${passed} passed, ${failures.length} failed${tail}`);
  return failures.length === 0;
};

/** The Node that the lockfile pins, where it has one for this machine. */
const pinnedNode = () => {
  const path = join(ROOT, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  return existsSync(path) ? path : undefined;
};

const runAgainUnder = (node) => {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('close', (code) => (process.exitCode = code ?? 1));
};

const main = async () => {
  const wanted = process.argv.length > 2 ? process.argv.slice(2) : STEPS.map(({ name }) => name);
  const run = mkdtempSync(join(tmpdir(), 'nexusmon-test-'));
  chmodSync(run, 0o711); // As root, PostgreSQL runs as another user, who must get through.
  // A signal ends the step that runs and starts no other; what was started is still stopped and removed below.
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => interruption.abort());
  try {
    const total = await runSteps(run, wanted, interruption.signal);
    if (!report(total, wanted)) process.exitCode = 1;
  } finally {
    rmSync(run, { recursive: true, force: true });
  }
};

try {
  await install(ROOT, process.env, { say: console.log });
  const node = pinnedNode();
  if (node && realpathSync(node) !== realpathSync(process.execPath)) runAgainUnder(node);
  else await main();
} catch (error) {
  if (!(error instanceof StartFault)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
