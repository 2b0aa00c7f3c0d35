import { describe, expect, it } from '@jest/globals';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { referencePages } = (await import(pathToFileURL(join(import.meta.dirname, 'reference.mjs')).href)) as {
  referencePages: () => Promise<Record<string, string>>;
};
const pages = await referencePages();
const sources = (pattern: string) =>
  globSync(pattern, { cwd: ROOT, exclude: ['**/dist/**', '**/node_modules/**'] })
    .filter((path) => !path.endsWith('.spec.ts'))
    .map(read)
    .join('\n');

/** What a message says beside what differs: `<…>` and `…` stand for that. */
const constantParts = (message: string) =>
  message
    .split(/<[^>]+>|…/)
    .map((part) => part.trim())
    .filter((part) => part !== '');

describe('docs/operations.md', () => {
  const page = read('docs/operations.md');
  const messagesIn = (part: string) =>
    [...part.matchAll(/^\| (`.*?`) +\| [^|]+\|$/gm)].flatMap(([, cell = '']) => cell.match(/(?<=`)[^`]+(?=`)/g) ?? []);

  it.each([
    ['Read-only', sources('libs/platform/event-log/src/*.ts')],
    [
      'When a start fails',
      `${sources('tools/start*/*.mjs')}${read('tools/start.mjs')}${sources('libs/platform/stack/src/*.ts')}`,
    ],
  ])('quotes under %s only what is said', (heading, said) => {
    const [, after = ''] = page.split(`\n## ${heading}\n`);
    const parts = messagesIn(after.split('\n## ')[0] ?? '')
      .flatMap(constantParts)
      .filter((part) => /[a-z]{3}/.test(part));
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.filter((part) => !said.includes(part))).toEqual([]);
  });
});

describe('the reference', () => {
  it.each(Object.keys(pages))('has %s as its source says it (node tools/reference.mjs)', (path) => {
    expect(read(path)).toBe(pages[path]);
  });

  it('names every metric', () => {
    const names = sources('libs/*/**/src/**/*.ts').matchAll(
      /(?:(?:counter|histogram|gauge)\(|\[)\s*'(nexusmon_\w+)',/g,
    );
    for (const [, name] of names)
      expect(pages['docs/reference/metrics.md']).toMatch(new RegExp(`\`${name}(_total)?\``));
  });

  it('names only settings that the start reads', () => {
    const [, of_the_start = ''] = (pages['docs/reference/configuration.md'] ?? '').split('## Read by `npm start`');
    const read_by_start = `${sources('tools/start/*.mjs')}${sources('libs/platform/stack/src/*.ts')}`;
    const names = [...of_the_start.matchAll(/^\| `([A-Z0-9_]+)`/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !read_by_start.includes(name ?? ''))).toEqual([]);
  });
});

describe('a link in a page', () => {
  const pages_with_links = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: ROOT })];
  /** As GitHub makes it of a heading. */
  const anchorOf = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-');
  const anchorsOf = (path: string) =>
    [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

  it.each(pages_with_links)('of %s leads to something', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
    const lost = links.filter(([, to = '', anchor]) => {
      const target = to === '' ? page : join(dirname(page), to);
      return !existsSync(join(ROOT, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    });
    expect(lost.map(([link]) => link)).toEqual([]);
  });
});
