// One group of specs: `node tools/jest.mjs <unit|integration|e2e> [options of jest]`.
//
// A group also fails when something of ours warns or stays open after its last test: a warning that nobody must mend is
// read by nobody.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
/** How long jest may take to end by itself after its results are written. */
const EXIT_MS_MAX = 10_000;

const GROUPS = {
  unit: {
    match: ['**/{apps,libs,tools}/**/!(*.int|*.e2e).spec.ts'],
    options: ['--maxWorkers=2', '--testTimeout=60000'],
  },
  integration: {
    match: ['**/{libs,tests}/**/*.int.spec.ts'],
    options: ['--maxWorkers=2', '--testTimeout=120000'],
  },
  // One at a time: each starts the whole product.
  e2e: { match: ['**/tests/**/*.e2e.spec.ts'], options: ['--runInBand', '--testTimeout=600000'] },
  // What drill.mjs runs again, with more rounds.
  drill: { match: ['**/tests/drills/*.spec.ts'], options: ['--runInBand', '--testTimeout=600000'] },
};

const WARNINGS = [
  { pattern: /\(node:\d+\) (\[\w+\] )?\w*Warning: /, meaning: 'a warning of Node' },
  { pattern: /Jest did not exit one second after/, meaning: 'something stayed open after the last test' },
  // jest-worker-end.mjs says so. What jest says of a worker that it had to end may only be the machine's slowness.
  { pattern: /^Open after the last spec of a worker: /, meaning: 'something stayed open after a spec' },
  { pattern: /Force exiting Jest/, meaning: 'jest was made to exit' },
  { pattern: /(^|\s)console\.(log|info|warn|error|debug)$/, meaning: 'a spec or what it tests wrote to the console' },
];

const [name, ...rest] = process.argv.slice(2);
const group = GROUPS[name];
if (!group) {
  console.error(`usage: node tools/jest.mjs <${Object.keys(GROUPS).join('|')}> [options of jest]`);
  process.exit(2);
}

const results = process.env.NEXUSMON_TEST_RESULTS;
const jest = spawn(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    ...['--import', pathToFileURL(join(ROOT, 'tools', 'jest-worker-end.mjs')).href],
    createRequire(import.meta.url).resolve('jest/bin/jest'),
    '--ci',
    '--passWithNoTests', // Whether anything ran at all is judged over all groups, by tools/test.mjs.
    ...(results ? ['--json', `--outputFile=${join(results, `${name}.json`)}`] : []),
    ...rest, // Paths come first: jest would read what follows --testMatch as more patterns.
    ...group.options,
    ...group.match.flatMap((pattern) => ['--testMatch', pattern]),
  ],
  { cwd: ROOT, stdio: ['ignore', results ? 'ignore' : 'pipe', 'pipe'] },
);

const found = new Set();
let expiry;

const read = (stream) =>
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
    process.stdout.write(`${line}\n`);
    const text = stripVTControlCharacters(line).trim();
    for (const { pattern, meaning } of WARNINGS) if (pattern.test(text)) found.add(`${meaning}: ${text}`);
    // The last line of a run. What still runs after it is a leak, and would hold the terminal for ever.
    if (text.startsWith('Ran all test suites')) expiry = setTimeout(() => jest.kill('SIGKILL'), EXIT_MS_MAX);
  });

// With --json the standard output is one copy of the results file; everything for people is on the other stream.
if (jest.stdout) read(jest.stdout);
read(jest.stderr);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));

jest.on('close', (code, signal) => {
  clearTimeout(expiry);
  if (results) writeFileSync(join(results, `${name}.warnings.json`), JSON.stringify([...found]));
  else for (const warning of found) console.log(`counts as a failure: ${warning}`);
  if (signal) console.log(`jest was ended by ${signal}`);
  process.exitCode = code === 0 && found.size === 0 ? 0 : 1;
});
