// Mutants: each is one rule of the product made wrong on purpose, and a spec that must notice.
//
//   M1. A mutant is killed when the named spec ran and one of its tests failed. A mutant that does not compile, or
//       whose text is not found exactly once, proves nothing and is reported as such.
//   M2. Mutants live in copies of the tree under the system's temporary folder; the sources are never touched.
//
// They are listed beside what they mutate, in libs/<context>/<layer>/mutants.json, or in tools/mutants.json:
//   [{ "rule": "A2", "file": "libs/…/approval.ts", "find": "…", "replace": "…", "spec": "libs/…/approval.spec.ts" }]
// Paths count from the root. `node tools/mutants.mjs [part of a path or rule]` prints the survivors; --json prints all.

import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const LISTS = ['tools/mutants.json', 'libs/**/mutants.json'];
/** What jest needs beside the sources. */
const JEST_FILES = ['package.json', 'jest.config.mjs', 'tools/jest-realm.mjs'];
const WORKERS = 2;
/** Room for a mutant that loops: all of them together normally take well under a minute. */
const RUN_MS_MAX = 300_000;

const listed = () =>
  globSync(LISTS, { cwd: ROOT, exclude: ['**/dist/**', '**/node_modules/**'] })
    .sort()
    .flatMap((list) => JSON.parse(readFileSync(join(ROOT, list), 'utf8')));

const nameOf = ({ rule, file, find, replace }) => `${file} ${rule}: ${find} → ${replace || 'nothing'}`;

/** A copy of the tree with the rule made wrong; what stands in the way is a reason. */
const plant = (folder, { file, find, replace, spec }) => {
  const source = join(ROOT, file);
  if (!existsSync(source)) return 'there is no such file';
  if (!existsSync(join(ROOT, spec))) return `there is no such spec: ${spec}`;
  const parts = readFileSync(source, 'utf8').split(find);
  if (parts.length !== 2) return `its text is found ${parts.length - 1} times`;

  const isSource = (path) => !/(^|\/)(dist|node_modules)$/.test(path);
  cpSync(join(ROOT, 'libs'), join(folder, 'libs'), { recursive: true, filter: isSource });
  for (const name of ['apps', 'tests', 'tools']) mkdirSync(join(folder, name));
  for (const name of JEST_FILES) cpSync(join(ROOT, name), join(folder, name));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, file), parts.join(replace));
  return undefined;
};

/** One run of jest over all copies, so that starting it is paid for once. */
const runSpecs = (temporary, planted) =>
  new Promise((resolve, reject) => {
    const output = join(temporary, 'results.json');
    const child = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        createRequire(import.meta.url).resolve('jest/bin/jest'),
        '--runTestsByPath',
        ...planted.map(({ folder, spec }) => join(folder, spec)),
        '--projects',
        ...planted.map(({ folder }) => folder),
        '--json',
        `--outputFile=${output}`,
        `--cacheDirectory=${join(temporary, 'cache')}`,
        `--maxWorkers=${WORKERS}`,
        '--ci',
      ],
      { cwd: temporary, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const said = [];
    child.stderr.on('data', (bytes) => said.push(bytes));
    const expiry = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
    child.on('error', reject).on('close', () => {
      clearTimeout(expiry);
      if (existsSync(output)) resolve(JSON.parse(readFileSync(output, 'utf8')).testResults);
      else
        reject(
          new Error(`the specs of the mutants did not end:\n${Buffer.concat(said).toString('utf8').slice(-4000)}`),
        );
    });
  });

const judge = (result) => {
  if (!result || result.assertionResults.length === 0) return 'does not compile, or its spec has no test';
  return result.assertionResults.some(({ status }) => status === 'failed') ? undefined : 'survives';
};

/** Every mutant with the reason why it is not killed; a killed one has none. */
const runMutants = async (mutants) => {
  const temporary = mkdtempSync(join(tmpdir(), 'nexusmon-mutants-'));
  try {
    const trees = mutants.map((mutant, index) => {
      const folder = join(temporary, `m${index}`);
      mkdirSync(folder);
      return { ...mutant, folder, reason: plant(folder, mutant) };
    });
    const planted = trees.filter(({ reason }) => reason === undefined);
    const results = planted.length > 0 ? await runSpecs(temporary, planted) : [];
    const resultOf = new Map(results.map((result) => [relative(temporary, result.name), result]));
    return trees.map(({ folder, reason, ...mutant }) => ({
      name: nameOf(mutant),
      reason: reason ?? judge(resultOf.get(relative(temporary, join(folder, mutant.spec)))),
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
