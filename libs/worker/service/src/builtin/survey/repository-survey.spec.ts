import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, open, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { surveyManifest, SURVEY_OUTPUT_BYTES_MAX } from '@nexusmon/worker-contract';
import fc from 'fast-check';
import { memoryContext, removeFolder, run, temporaryFolder, writeTree } from '../memory-context.fixture.js';
import { pathText } from './path-text.js';

const IS_ROOT = process.getuid?.() === 0;
const WHY_NOT_ROOT = IS_ROOT ? ' [skipped: root may read every file]' : '';

let root = '';
beforeEach(async () => {
  root = await temporaryFolder();
});
afterEach(() => removeFolder(root));

const survey = async (path = root, forbidden: readonly string[] = []) => {
  const context = memoryContext([root], forbidden);
  const output = await run('repository.survey', { path }, context);
  const bytes = context.kept.get(output.manifest.artifact_id) ?? new Uint8Array();
  return { output, manifest: surveyManifest.parse(JSON.parse(Buffer.from(bytes).toString())), bytes };
};

const paths = async (path?: string, forbidden?: readonly string[]) =>
  (await survey(path, forbidden)).manifest.files.map((file) => file.path);

describe('a survey of random trees', () => {
  const word = fc.constantFrom('TODO', 'FIXME', 'TODOS', 'word', '\n', ' ', '\n\n', '_', 'é', '\0', 'FIXME:');
  const content = fc.array(word, { maxLength: 30 }).map((words) => Buffer.from(words.join('')));
  const name = fc.constantFrom(
    'a.ts',
    'b.md',
    'node_modules',
    '.git',
    'c',
    'dist',
    'd d',
    'e\n.txt',
    'häuser.go',
    'build',
  );
  const depth = { maxDepth: 3 };
  type Node = Buffer | Map<string, Node>;
  const { tree } = fc.letrec<{ tree: Map<string, Node>; node: Node }>((tie) => ({
    node: fc.oneof(depth, content, tie('tree')),
    tree: fc
      .dictionary(name, tie('node'), { maxKeys: 5, noNullPrototype: true })
      .map((held) => new Map(Object.entries(held))),
  }));

  const make = async (folder: string, nodes: ReadonlyMap<string, Node>): Promise<void> => {
    await mkdir(folder, { recursive: true });
    for (const [child, node] of nodes)
      if (node instanceof Map) await make(join(folder, child), node);
      else await writeFile(join(folder, child), node);
  };

  /** Counts from the tree in memory: no file system, no bytes, no sharing with the worker. */
  const count = (
    nodes: ReadonlyMap<string, Node>,
    prefix = '',
  ): { path: string; size: number; lines: number; todos: number }[] =>
    [...nodes].flatMap(([child, node]) => {
      if (child === '.git' || (child === 'node_modules' && node instanceof Map)) return [];
      if (node instanceof Map) return count(node, `${prefix}${child}/`);
      const text = node.toString('utf8');
      const readable = text.includes('\0') ? '' : text;
      const lines = readable === '' ? 0 : readable.split('\n').length - Number(readable.endsWith('\n'));
      const todos = readable.split(/[^\p{L}\p{M}\p{N}_]+/u).filter((one) => one === 'TODO' || one === 'FIXME').length;
      return [{ path: `${prefix}${child}`, size: node.length, lines, todos }];
    });

  it('counts what a count of the same tree in memory gives, and the same twice (R1, R2)', async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(tree, async (nodes) => {
        number += 1;
        const folder = join(root, String(number));
        await make(folder, nodes);
        const { output, manifest, bytes } = await survey(folder);
        const expected = count(nodes).sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
        expect(manifest.files.map(({ path, size, lines, todos }) => ({ path, size, lines, todos }))).toEqual(expected);
        const sum = (figure: 'size' | 'lines' | 'todos') => expected.reduce((total, file) => total + file[figure], 0);
        expect(output).toMatchObject({
          file_count: expected.length,
          total_bytes: sum('size'),
          line_count: sum('lines'),
          todo_count: sum('todos'),
        });
        expect(output.languages.reduce((total, row) => total + row.bytes, 0)).toBe(output.total_bytes);
        expect(Buffer.from((await survey(folder)).bytes).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a survey', () => {
  it('of an empty folder is all zero', async () => {
    const { output, manifest } = await survey();
    expect(output).toMatchObject({ root, file_count: 0, total_bytes: 0, line_count: 0, languages: [], todos: [] });
    expect(output).toMatchObject({ git: { state: 'not_a_work_tree' }, dependency_count: 0, largest_files: [] });
    expect(output.last_commits).toBeUndefined();
    expect(manifest.files).toEqual([]);
  });

  it('hashes each file and names its language', async () => {
    await writeTree(root, {
      'src/a.ts': 'let a = 1;\n// TODO: more\n',
      run: '#!/usr/bin/env python3\nx',
      logo: new Uint8Array([0, 1]),
    });
    const { output, manifest } = await survey(`${root}/`);
    const sha256 = createHash('sha256').update('let a = 1;\n// TODO: more\n').digest('hex');
    expect(manifest.files).toContainEqual({
      path: 'src/a.ts',
      size: 25,
      sha256,
      lines: 2,
      language: 'TypeScript',
      todos: 1,
    });
    expect(output.languages).toEqual([
      { language: 'TypeScript', files: 1, bytes: 25, lines: 2 },
      { language: 'Python', files: 1, bytes: 24, lines: 2 },
      { language: 'Binary', files: 1, bytes: 2, lines: 0 },
    ]);
    expect(output.todos).toEqual([{ path: 'src/a.ts', line: 2, marker: 'TODO', text: '// TODO: more' }]);
    expect(output.largest_files[0]).toEqual({ path: 'src/a.ts', size: 25 });
  });

  it('leaves out vendored folders everywhere, and built ones only beside the manifest of their tool (I1, I2)', async () => {
    await writeTree(root, {
      'node_modules/x/index.js': 'x',
      'deep/vendor/y.go': 'y',
      'cmd/dist/main.go': 'kept',
      'go/build/build.go': 'kept',
      'web/package.json': '{}',
      'web/dist/bundle.js': 'built',
      'rust/Cargo.toml': '',
      'rust/target/debug/a': 'built',
      'net/App.csproj': '',
      'net/obj/a': 'built',
      'env/pyvenv.cfg': '',
      'env/lib/a.py': 'a',
      '.github/workflows/ci.yml': 'kept',
    });
    expect(await paths()).toEqual([
      ...['.github/workflows/ci.yml', 'cmd/dist/main.go', 'go/build/build.go'],
      ...['net/App.csproj', 'rust/Cargo.toml', 'web/package.json'],
    ]);
    const { output } = await survey();
    expect(output.ignored_folders).toEqual({
      count: 6,
      first: ['deep/vendor', 'env', 'net/obj', 'node_modules', 'rust/target', 'web/dist'],
    });
    expect(output.ignored).toEqual(expect.arrayContaining(['.git', 'node_modules', 'vendor']));
  });

  it('surveys a folder that is ignored inside another when it is asked for by itself', async () => {
    await writeTree(root, { 'vendor/a.go': 'a', 'env/pyvenv.cfg': '' });
    expect(await paths(join(root, 'vendor'))).toEqual(['a.go']);
    expect(await paths(join(root, 'env'))).toEqual(['pyvenv.cfg']);
  });

  it('never opens a forbidden folder (T4)', async () => {
    await writeTree(root, { 'a.txt': 'a', 'state/secret.key': 's' });
    expect(await paths(root, [join(root, 'state')])).toEqual(['a.txt']);
    await expect(survey(join(root, 'state'), [join(root, 'state')])).rejects.toMatchObject({ retryable: false });
  });

  it('follows no link and counts none as a file (T1)', async () => {
    const outside = await temporaryFolder();
    try {
      await writeTree(outside, { 'secret.txt': 'TODO' });
      await writeTree(root, { 'project/a.txt': 'a' });
      await symlink(outside, join(root, 'project/out'));
      await symlink(join(outside, 'secret.txt'), join(root, 'project/secret'));
      await symlink('.', join(root, 'project/self'));
      const { output, manifest } = await survey(join(root, 'project'));
      expect(manifest.files.map(({ path }) => path)).toEqual(['a.txt']);
      expect(output).toMatchObject({ skipped: { symlinks: 3 }, todo_count: 0 });
      await expect(survey(join(root, 'project/out'))).rejects.toMatchObject({ name: 'WorkerFault', retryable: false });
    } finally {
      await removeFolder(outside);
    }
  });

  it('passes over pipes without waiting for them', async () => {
    await promisify(execFile)('mkfifo', [join(root, 'pipe')]);
    expect((await survey()).output).toMatchObject({ file_count: 0, skipped: { special: 1 } });
  });

  it('refuses a file, a path that is not there, and one outside, for good', async () => {
    await writeTree(root, { 'a.txt': 'a' });
    for (const path of [join(root, 'a.txt'), join(root, 'nothing'), '/', '/etc', `${root}/../..`])
      await expect(survey(path)).rejects.toMatchObject({ name: 'WorkerFault', retryable: false });
  });

  it('keeps apart names that differ only in bytes that are no text', async () => {
    const names = [
      Buffer.from([0xff]),
      Buffer.from([0xfe]),
      Buffer.from('\\xFF'),
      Buffer.from('a\nb'),
      Buffer.from('|<b>'),
    ];
    for (const name of names) await writeFile(Buffer.concat([Buffer.from(`${root}/`), name]), name);
    const shown = await paths();
    expect(new Set(shown)).toEqual(new Set(names.map(pathText)));
    expect(shown).toHaveLength(5);
  });

  const deepTree = async (levels: number) => {
    // The system cannot name what lies deeper than 4096 bytes, but a handle on the folder above can.
    const name = 'd'.repeat(200);
    let handle = await open(root);
    for (let level = 0; level < levels; level += 1) {
      await mkdir(`/proc/self/fd/${handle.fd}/${name}`);
      const next = await open(`/proc/self/fd/${handle.fd}/${name}`);
      await handle.close();
      handle = next;
    }
    await writeFile(`/proc/self/fd/${handle.fd}/deepest.txt`, 'TODO');
    await handle.close();
  };

  (process.platform === 'linux' ? it : it.skip)(
    'names a folder too deep for the system, and goes on (T2)',
    async () => {
      await writeTree(root, { 'z.txt': 'z' });
      await deepTree(22);
      try {
        const { output } = await survey();
        expect(output).toMatchObject({ file_count: 1, unreadable: { count: 1 } });
        expect(output.unreadable.first[0] ?? { kind: 'folder' }).toMatchObject({ kind: 'folder' });
      } finally {
        await promisify(execFile)('rm', ['-rf', root]);
      }
    },
  );

  it('reads a tree a hundred folders deep', async () => {
    await writeTree(root, { [`${'d/'.repeat(100)}a.txt`]: 'TODO\n' });
    expect((await survey()).output).toMatchObject({ file_count: 1, todo_count: 1 });
  });

  (IS_ROOT ? it.skip : it)(`counts and names what it may not read (R1, T2)${WHY_NOT_ROOT}`, async () => {
    await writeTree(root, { 'a.txt': 'abc', 'closed/b.txt': 'b' });
    await chmod(join(root, 'a.txt'), 0);
    await chmod(join(root, 'closed'), 0);
    try {
      const { output, manifest } = await survey();
      expect(output).toMatchObject({ file_count: 1, total_bytes: 3, line_count: 0 });
      expect(output.unreadable).toEqual({
        count: 2,
        first: [
          { path: 'a.txt', kind: 'file', reason: 'EACCES' },
          { path: 'closed', kind: 'folder', reason: 'EACCES' },
        ],
      });
      expect(manifest.files).toEqual([
        { path: 'a.txt', size: 3, sha256: null, lines: 0, todos: 0, language: 'Unreadable' },
      ]);
    } finally {
      await chmod(join(root, 'closed'), 0o700);
    }
  });

  it('reads a large file in bounded memory, by what it holds', async () => {
    const handle = await open(join(root, 'large.log'), 'w');
    await handle.write('TODO\n', 0);
    await handle.truncate(300 * 1024 * 1024);
    await handle.close();
    const before = process.memoryUsage().rss;
    const { output } = await survey();
    expect(output).toMatchObject({ file_count: 1, total_bytes: 300 * 1024 * 1024 });
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  });

  it('stays within its bounds whatever the names and numbers are (W2)', async () => {
    const files: Record<string, string> = {};
    const name = '\u0001'.repeat(200);
    for (let number = 0; number < 60; number += 1)
      files[`${name}/${name}/${name}/${number}`] = `${'TODO '.repeat(40)}\n`;
    const packages = Array.from({ length: 3_000 }, (_, number) => [`package-${number}`, '1.0.0']);
    files['package.json'] = JSON.stringify({ dependencies: Object.fromEntries(packages) as Record<string, string> });
    await writeTree(root, files);
    const { output, manifest } = await survey();
    expect(Buffer.byteLength(JSON.stringify(output))).toBeLessThanOrEqual(SURVEY_OUTPUT_BYTES_MAX);
    expect(output).toMatchObject({ file_count: 61, todo_count: 2_400, dependency_count: 3_000 });
    expect(manifest.dependencies).toHaveLength(3_000);
  });

  it('stops when it is told to', async () => {
    await writeTree(root, Object.fromEntries(Array.from({ length: 200 }, (_, number) => [`f${number}`, 'x'])));
    const stopped = new AbortController();
    stopped.abort(new Error('cancelled'));
    const context = memoryContext([root], [], stopped.signal);
    await expect(run('repository.survey', { path: root }, context)).rejects.toThrow('cancelled');
    expect(context.kept.size).toBe(0);
  });

  it('takes files that vanish while it reads for gone, not for faults (T2)', async () => {
    await writeTree(
      root,
      Object.fromEntries(Array.from({ length: 400 }, (_, number) => [`d${number % 20}/f${number}`, 'x'])),
    );
    const folders = await readdir(root);
    const [{ output }] = await Promise.all([survey(), ...folders.map((folder) => removeFolder(join(root, folder)))]);
    expect(output.file_count).toBeLessThanOrEqual(400);
    expect(output.unreadable.count).toBe(0);
  });

  it('gives figures that the system tools agree with', async () => {
    await writeTree(root, { 'a.txt': 'TODO\nb', 'c/d.md': 'FIXME TODO\n', 'c/e': '' });
    const find = await promisify(execFile)('find', [root, '-type', 'f']);
    const grep = await promisify(execFile)('grep', ['-rowE', 'TODO|FIXME', root]);
    const { output } = await survey();
    expect(output.file_count).toBe(find.stdout.trim().split('\n').length);
    expect(output.todo_count).toBe(grep.stdout.trim().split('\n').length);
    expect((await lstat(join(root, 'a.txt'))).size + (await readFile(join(root, 'c/d.md'))).length).toBe(
      output.total_bytes,
    );
  });
});
