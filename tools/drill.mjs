// `npm run drill`: the promises under faults, on the real stack, with as many rounds as they name. Prints one line of
// JSON for each as it ends: promise, title, seed, rounds, failures and what was counted; the tests' own output goes to
// the other stream. Options: `--only P1,P5` (promises), `--seed N` (1234), `--rounds N` (instead of each one's own),
// `--path` (of one schedule of a simulation, as its failure names it). The exit code is 0 only when every promise that
// was asked for was tried, and held.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, watchFile, unwatchFile, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const NODE = 24;
const LOOK_MS = 500;

const { values } = parseArgs({
  options: { only: { type: 'string' }, seed: { type: 'string' }, rounds: { type: 'string' }, path: { type: 'string' } },
});
const only = values.only?.split(',');
for (const name of only ?? [])
  if (!/^P\d+[a-z]?$/.test(name)) {
    console.error(`nexusmon: --only takes promises such as P1,P5, not ${name}`);
    process.exit(2);
  }
for (const name of ['seed', 'rounds'])
  if (values[name] !== undefined && !/^[1-9]\d{0,9}$/.test(values[name])) {
    console.error(`nexusmon: --${name} takes a whole number from 1`);
    process.exit(2);
  }

if (values.path !== undefined && !/^\d+(:\d+)*$/.test(values.path)) {
  console.error('nexusmon: --path takes numbers with colons between them');
  process.exit(2);
}

const own = join(ROOT, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
const node = Number(process.versions.node.split('.')[0]) < NODE && existsSync(own) ? own : process.execPath;

const run = mkdtempSync(join(tmpdir(), 'nexusmon-drill-'));
const results = join(run, 'results.jsonl');
writeFileSync(results, '');

let printed = 0;
const tried = [];
const print = () => {
  const text = readFileSync(results, 'utf8');
  for (const line of text
    .slice(printed, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)) {
    process.stdout.write(`${line}\n`);
    tried.push(JSON.parse(line));
  }
  printed = text.lastIndexOf('\n') + 1;
};
watchFile(results, { interval: LOOK_MS }, print);

// A test's full name begins with what it describes, so the promise is looked for anywhere in it.
const names = only ? ['--testNamePattern', `(^| )(${only.join('|')})(: | is not kept)`] : [];
const jest = spawn(node, [join(ROOT, 'tools/jest.mjs'), 'drill', ...names], {
  cwd: ROOT,
  env: {
    ...process.env,
    NEXUSMON_DRILL_RESULTS: results,
    ...(values.seed ? { NEXUSMON_DRILL_SEED: values.seed } : {}),
    ...(values.path ? { NEXUSMON_DRILL_PATH: values.path } : {}),
    ...(values.rounds ? { NEXUSMON_DRILL_ROUNDS: values.rounds } : {}),
  },
  stdio: ['ignore', process.stderr.fd, process.stderr.fd],
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
jest.on('close', (code) => {
  unwatchFile(results);
  print();
  rmSync(run, { recursive: true, force: true });
  const missing = (only ?? []).filter((promise) => !tried.some((line) => line.promise === promise));
  if (missing.length > 0) console.error(`nexusmon: not tried: ${missing.join(', ')}`);
  process.exitCode = code === 0 && tried.length > 0 && missing.length === 0 ? 0 : 1;
});
