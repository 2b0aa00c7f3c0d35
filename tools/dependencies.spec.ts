import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

type Listed = Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Record<string, string>>;

/** The first two cells of each row, by part of the page: a package in backquotes, and its reason. */
const rowsOf = (part: string) =>
  [...part.matchAll(/^\| `([^`]+)` *\| (.*?) *\|$/gm)].map(([, name = '', reason = '']) => ({ name, reason }));

describe('docs/dependencies.md', () => {
  const [, at_run_time = '', for_development = ''] = read('docs/dependencies.md').split(/^## /m);
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json')) as Listed;

  it.each([
    ['at run time', at_run_time, { ...dependencies, ...optionalDependencies }],
    ['for development', for_development, devDependencies],
  ])('names each package %s, and no other', (_, part, listed) => {
    const names = rowsOf(part).map(({ name }) => name);
    expect(names.toSorted()).toEqual(Object.keys(listed).toSorted());
  });

  it('gives a reason for each', () => {
    const rows = [...rowsOf(at_run_time), ...rowsOf(for_development)];
    expect(rows.filter(({ reason }) => !/\w.*\.$/.test(reason))).toEqual([]);
  });
});
