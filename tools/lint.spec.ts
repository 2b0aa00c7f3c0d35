import { beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const LINT_MS_MAX = 180_000;

/** What must be found, and where: rule, file, text. */
const planted: readonly (readonly [string, string, string])[] = [
  ['@typescript-eslint/no-explicit-any', 'libs/a/service/src/any.ts', `export const a: any = 1;`],
  [
    '@typescript-eslint/no-unsafe-member-access',
    'libs/a/service/src/unsafe.ts',
    `export const a = (text: string): string => String(JSON.parse(text).name);`,
  ],
  [
    '@typescript-eslint/no-unsafe-return',
    'libs/a/service/src/unsafe-return.spec.ts',
    `export const a = (text: string): string => JSON.parse(text);`,
  ],
  [
    '@typescript-eslint/no-floating-promises',
    'libs/a/service/src/floating.ts',
    `export const a = (work: () => Promise<void>) => {\n  work();\n};`,
  ],
  [
    '@typescript-eslint/no-misused-promises',
    'libs/a/service/src/misused.ts',
    `export const a = (work: () => Promise<boolean>) => (work() ? 1 : 2);`,
  ],
  [
    '@typescript-eslint/switch-exhaustiveness-check',
    'libs/a/service/src/switch.ts',
    `export const a = (rank: 'A' | 'S') => {\n  switch (rank) {\n    case 'A':\n      return 1;\n  }\n  return 2;\n};`,
  ],
  [
    '@typescript-eslint/consistent-type-imports',
    'libs/a/service/src/type-import.ts',
    `import { Port } from './port.js';\nexport const a = (port: Port) => port;`,
  ],
  ['@typescript-eslint/ban-ts-comment', 'libs/a/service/src/ignore.ts', `// @ts-ignore\nexport const a: number = 'a';`],
  ['null', 'libs/a/service/src/disable.ts', `// eslint-disable-next-line eqeqeq\nexport const a = 1;`],
  ['no-console', 'libs/a/service/src/console.ts', `console.log('a');`],
  ['no-console', 'apps/a/src/console.ts', `console.log('a');`],
  ['no-empty', 'tools/empty.mjs', `try {\n  console.log('a');\n} catch {}`],
  [
    'no-restricted-syntax',
    'libs/a/service/src/swallow.ts',
    `export const a = (work: Promise<void>) => work.catch(() => undefined);`,
  ],
  ['no-warning-comments', 'libs/a/service/src/later.ts', `// ${'TO'}DO: later\nexport const a = 1;`],
  ['max-len', 'libs/a/service/src/long.ts', `export const a = [${'1, '.repeat(40)}1];`],
  ['max-lines-per-function', 'tools/long.mjs', `export const a = () => {\n${'  globalThis.a = 1;\n'.repeat(70)}};`],
  ['no-restricted-properties', 'libs/a/service/src/environment.ts', `export const a = process.env['A'];`],
  [
    'no-restricted-imports',
    'libs/a/service/src/process.ts',
    `import { env } from 'node:process';\nexport const a = env;`,
  ],
  [
    'no-restricted-syntax',
    'libs/a/service/src/publish.ts',
    `export const a = (log: { publish: (subject: string) => void }) => log.publish('evt.a');`,
  ],
  ['no-restricted-globals', 'libs/a/domain/src/clock.ts', `export const a = () => new Date();`],
  ['no-restricted-globals', 'libs/a/domain/src/timer.ts', `export const a = () => setTimeout(() => 1, 1);`],
  ['no-restricted-properties', 'libs/a/domain/src/random.ts', `export const a = () => Math.random();`],
  [
    'no-restricted-syntax',
    'libs/a/domain/src/await.ts',
    `export const a = async (work: Promise<number>) => await work;`,
  ],
  ['no-restricted-syntax', 'libs/a/domain/src/throw.ts', `export const a = () => {\n  throw new Error('a');\n};`],
  ['no-restricted-syntax', 'libs/a/domain/src/class.ts', `export class A {\n  a = 1;\n}`],
];

/** What must pass, though a neighbour of it would not. */
const allowed: Record<string, string> = {
  'libs/a/service/src/port.ts': `export class Port {\n  readonly a = 1;\n}`,
  // An injected class is used as a type alone, and yet its import must stay one of a value.
  'libs/a/service/src/injected.ts': [
    `import { Port } from './port.js';`,
    `const Injectable = () => (_: unknown) => {};`,
    `@Injectable()\nexport class Handler {\n  constructor(readonly port: Port) {}\n}`,
  ].join('\n'),
  'libs/platform/config/src/config.ts': `export const a = process.env['A'];`,
  'libs/platform/event-log/src/log.ts': `export const a = (log: { publish: (subject: string) => void }) => log.publish('a');`,
  'libs/a/domain/src/clock.spec.ts': `export const a = async () => new Date(await Promise.resolve(1));`,
  'tools/print.mjs': `console.log(process.env.A);`,
};

type Linted = { filePath: string; messages: { ruleId: string | null; message: string }[] };

const write = (path: string, text: string) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${text}\n`);
};

/** What ESLint finds, with the configuration of the project, in a workspace that holds nothing but these files. */
const lint = (): string[] => {
  const tree = realpathSync(mkdtempSync(join(tmpdir(), 'nexusmon-lint-')));
  try {
    for (const [path, text] of Object.entries(allowed)) write(join(tree, path), text);
    for (const [, path, text] of planted) write(join(tree, path), text);
    for (const file of ['eslint.config.js', 'package.json', 'tsconfig.json', 'tsconfig.base.json'])
      cpSync(join(ROOT, file), join(tree, file));
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
    const eslint = join(ROOT, 'node_modules', 'eslint', 'bin', 'eslint.js');
    const { stdout, stderr } = spawnSync(process.execPath, [eslint, '--format', 'json', '.'], {
      cwd: tree,
      encoding: 'utf8',
    });
    if (!stdout) throw new Error(`ESLint said nothing: ${stderr}`);
    return (JSON.parse(stdout) as Linted[]).flatMap(({ filePath, messages }) =>
      messages.map(({ ruleId }) => `${ruleId} ${relative(tree, filePath)}`),
    );
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
};

describe('the lint', () => {
  let found: string[] = [];
  beforeAll(() => {
    found = lint();
  }, LINT_MS_MAX);

  it.each(planted)('finds %s in %s', (rule, path) => expect(found).toContain(`${rule} ${path}`));
  it.each(Object.keys(allowed))('has nothing to say about %s', (path) =>
    expect(found.filter((finding) => finding.endsWith(` ${path}`))).toEqual([]),
  );
});
