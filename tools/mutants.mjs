// Mutants: each is one rule of the product made wrong on purpose, and a spec that must notice.
//
//   M1. A mutant is killed when the named spec ran and one of its tests failed. A mutant that does not compile, or
//       whose text is not found exactly once, proves nothing and is reported as such.
//   M2. A mutant lives in what jest makes of its file (mutants/transform.mjs); the sources are never touched.
//
// They are listed beside what they mutate, in libs/<context>/<layer>/mutants.json, or in tools/mutants.json; those of
// the simulation in tests/simulation/mutants.json:
//   [{ "rule": "A2", "file": "libs/…/approval.ts", "find": "…", "replace": "…", "spec": "libs/…/approval.spec.ts" }]
// Paths count from the root. `node tools/mutants.mjs [part of a path or rule]` prints the survivors; --json prints all.

import { spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import base from '../jest.config.mjs';

const ROOT = join(import.meta.dirname, '..');
const LISTS = ['tools/mutants.json', '{libs,tests}/**/mutants.json'];
const WORKERS = 2;
/** Room for a mutant that loops, and for a machine that does much else: all of them together take about a minute. */
const RUN_MS_MAX = 600_000;

const listed = () =>
  globSync(LISTS, { cwd: ROOT, exclude: ['**/dist/**', '**/node_modules/**'] })
    .sort()
    .flatMap((list) => JSON.parse(readFileSync(join(ROOT, list), 'utf8')));

const nameOf = ({ rule, file, find, replace }) => `${file} ${rule}: ${find} → ${replace || 'nothing'}`;

/** Why it cannot be tried. */
const obstacle = ({ file, find, spec }) => {
  if (!existsSync(join(ROOT, file))) return 'there is no such file';
  if (!existsSync(join(ROOT, spec))) return `there is no such spec: ${spec}`;
  const found = readFileSync(join(ROOT, file), 'utf8').split(find).length - 1;
  return found === 1 ? undefined : `its text is found ${found} times`;
};

/** The project's own way of testing, for one spec and one mutant. All have the same id: they share what is cached. */
const projectOf = ({ file, find, replace, spec }, index) => ({
  ...base,
  id: 'mutants',
  globals: { ...base.globals, mutant: { index, spec: join(ROOT, spec) } },
  testEnvironment: join(ROOT, 'tools/mutants/environment.mjs'),
  // Where jest looks for specs: what these import it finds without.
  roots: [join(ROOT, dirname(spec))],
  testMatch: [`**/${basename(spec)}`],
  transform: Object.fromEntries(
    Object.entries(base.transform).map(([pattern, [, options]]) => [
      pattern,
      [join(ROOT, 'tools/mutants/transform.mjs'), { ...options, mutant: { path: join(ROOT, file), find, replace } }],
    ]),
  ),
});

/** One run of jest over all of them, so that starting it is paid for once. The statuses of each one's tests. */
const runSpecs = (temporary, mutants) =>
  new Promise((resolve, reject) => {
    const config = join(temporary, 'jest.json');
    const output = join(temporary, 'results.json');
    writeFileSync(
      config,
      JSON.stringify({
        projects: mutants.map(projectOf),
        reporters: [[join(ROOT, 'tools/mutants/reporter.mjs'), { output }]],
        cacheDirectory: join(temporary, 'cache'),
      }),
    );
    const child = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        createRequire(import.meta.url).resolve('jest/bin/jest'),
        ...['--config', config, `--maxWorkers=${WORKERS}`, '--ci', '--watchman=false'],
      ],
      { cwd: temporary, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const said = [];
    child.stderr.on('data', (bytes) => said.push(bytes));
    const expiry = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
    child.on('error', reject).on('close', () => {
      clearTimeout(expiry);
      if (existsSync(output)) resolve(JSON.parse(readFileSync(output, 'utf8')));
      else
        reject(
          new Error(`the specs of the mutants did not end:\n${Buffer.concat(said).toString('utf8').slice(-4000)}`),
        );
    });
  });

const judge = (statuses = []) => {
  if (statuses.length === 0) return 'does not compile, or its spec has no test';
  return statuses.includes('failed') ? undefined : 'survives';
};

/** Every mutant with the reason why it is not killed; a killed one has none. */
const runMutants = async (mutants) => {
  const tried = mutants.filter((mutant) => obstacle(mutant) === undefined);
  const temporary = mkdtempSync(join(tmpdir(), 'nexusmon-mutants-'));
  try {
    const statuses = tried.length > 0 ? await runSpecs(temporary, tried) : {};
    return mutants.map((mutant) => ({
      name: nameOf(mutant),
      reason: obstacle(mutant) ?? judge(statuses[tried.indexOf(mutant)]),
    }));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
};

const [wanted = ''] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const outcomes = await runMutants(listed().filter((mutant) => nameOf(mutant).includes(wanted)));
if (process.argv.includes('--json')) {
  console.log(JSON.stringify(outcomes));
} else {
  const alive = outcomes.filter(({ reason }) => reason !== undefined);
  for (const { name, reason } of alive) console.log(`${name}: ${reason}`);
  console.log(`${outcomes.length - alive.length} of ${outcomes.length} mutants killed`);
  process.exitCode = alive.length === 0 ? 0 : 1;
}
