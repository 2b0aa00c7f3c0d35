import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const MUTANTS_MS_MAX = 620_000;

type Mutant = { rule: string; file: string; find: string };
type Outcome = { name: string; reason?: string };

const lists = globSync(['tools/mutants.json', '{libs,tests}/**/mutants.json'], {
  cwd: ROOT,
  exclude: ['**/dist/**', '**/node_modules/**'],
}).sort();
const listed = lists.flatMap((list) => JSON.parse(readFileSync(join(ROOT, list), 'utf8')) as Mutant[]);

describe('the mutants', () => {
  let outcomes: Outcome[] = [];
  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'tools', 'mutants.mjs'), '--json']);
    outcomes = JSON.parse(stdout) as Outcome[];
  }, MUTANTS_MS_MAX);

  it('are all tried', () => expect(outcomes).toHaveLength(listed.length));
  it.each(listed.map(({ rule, file, find }, index) => ({ rule, file, find, index })))(
    'are killed: $rule in $file: $find',
    ({ index }) => expect(outcomes[index]).toEqual({ name: outcomes[index]?.name }),
  );
});
