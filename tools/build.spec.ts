import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const tree = mkdtempSync(join(tmpdir(), 'nexusmon-build-'));
afterAll(() => rmSync(tree, { recursive: true, force: true }));

const write = (path: string, text: string) => {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
};
const read = (path: string) => readFileSync(join(tree, path), 'utf8');

const build = () =>
  new Promise<{ code: number | null; said: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [join(tree, 'tools', 'build.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    child.on('error', reject).on('close', (code) => resolve({ code, said }));
  });

beforeEach(() => {
  for (const entry of readdirSync(tree)) rmSync(join(tree, entry), { recursive: true });
  mkdirSync(join(tree, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules', '@swc'), join(tree, 'node_modules', '@swc'));
  cpSync(join(ROOT, 'tools'), join(tree, 'tools'), { recursive: true });
  write('package-lock.json', '{}');
  write('libs/a/service/package.json', '{}');
  write('libs/a/service/src/index.ts', `export const a: number = 1;\n`);
  write('libs/a/service/src/a.spec.ts', `export {};\n`);
  write('libs/a/service/src/a.sql', `select 1;\n`);
});

describe('a build', () => {
  it('makes of each source its code and its map, of the rest a copy, of specs nothing', async () => {
    expect(await build()).toMatchObject({ code: 0 });
    expect(readdirSync(join(tree, 'libs/a/service/dist')).sort()).toEqual(['a.sql', 'index.js', 'index.js.map']);
    expect(read('libs/a/service/dist/index.js')).toBe('export const a = 1;\n//# sourceMappingURL=index.js.map\n');
    expect(JSON.parse(read('libs/a/service/dist/index.js.map'))).toMatchObject({ sources: ['../src/index.ts'] });
  });

  it('keeps what dependency injection needs to know', async () => {
    write('libs/a/service/src/port.ts', `export class Port {}\n`);
    const handler = `import { Port } from './port.js';\n@Dec()\nexport class Handler { constructor(readonly port: Port) {} }\n`;
    write('libs/a/service/src/handler.ts', handler);
    await build();
    expect(read('libs/a/service/dist/handler.js')).toMatch(/design:paramtypes.*\n.*Port/);
  });

  it('does nothing twice (B1)', async () => {
    await build();
    expect((await build()).said).toMatch(/up to date/);
    write('package-lock.json', '{ }');
    expect((await build()).said).toMatch(/files written/);
  });

  it('follows a source that changed, came, or went (B4)', async () => {
    await build();
    write('libs/a/service/src/index.ts', `export const a = 2;\n`);
    write('libs/a/service/src/deep/new.ts', `export const b = 1;\n`);
    rmSync(join(tree, 'libs/a/service/src/a.sql'));
    await build();
    expect(read('libs/a/service/dist/index.js')).toMatch(/a = 2/);
    expect(existsSync(join(tree, 'libs/a/service/dist/deep/new.js'))).toBe(true);
    expect(existsSync(join(tree, 'libs/a/service/dist/a.sql'))).toBe(false);
    rmSync(join(tree, 'libs/a/service/src/deep'), { recursive: true });
    await build();
    expect(existsSync(join(tree, 'libs/a/service/dist/deep'))).toBe(false);
  });

  it('names file and line of what is not TypeScript, and is not taken for done', async () => {
    write('libs/a/service/src/wrong.ts', `const a = 1;\nconst b = ;\n`);
    for (const attempt of [await build(), await build()]) {
      expect(attempt.code).toBe(1);
      expect(attempt.said).toMatch(/^libs\/a\/service\/src\/wrong\.ts:2:\d+: /);
    }
    expect(existsSync(join(tree, 'libs/a/service/dist'))).toBe(false);
  });

  it('is done once by several at once, also after one that died with the lock (B2)', async () => {
    const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await new Promise((resolve) => dead.on('close', resolve));
    write('node_modules/.nexusmon-build.lock', String(dead.pid));
    const builds = await Promise.all(Array.from({ length: 4 }, build));
    expect(builds.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(builds.filter(({ said }) => /files written/.test(said))).toHaveLength(1);
    expect(readdirSync(join(tree, 'node_modules')).sort()).toEqual(['.nexusmon-build', '@swc']);
  });
});
