// Build: every `src` folder of apps and libs becomes the `dist` beside it, in one process.
//
//   B1. A build that has nothing to do reads the sources, compares one hash, and writes nothing.
//   B2. Two builds at once from one clone: one works, the other waits and then finds nothing to do.
//   B3. Each file of `dist` is replaced by a rename, so a process that starts meanwhile never reads half a file.
//   B4. After a build `dist` holds what the sources say and nothing else.
//
// Types are not checked here (`tsc` does that): a start must not wait for it. Runs under Node 20, because the first
// start may happen there.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withLock } from './start/lock.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Enough to keep the compiler's threads busy, few enough to keep the sources in flight small. */
const FILES_IN_FLIGHT = 32;

/** What the hash covers besides the sources: the lockfile names the compiler's version, this file its options. */
const INPUTS = ['package-lock.json', 'tools/build.mjs'];

const SWC_OPTIONS = {
  swcrc: false,
  configFile: false,
  sourceMaps: true,
  inlineSourcesContent: false,
  module: { type: 'es6' },
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, verbatimModuleSyntax: true },
  },
};

export class BuildFault extends Error {
  name = 'BuildFault';
}

const foldersIn = (folder) =>
  existsSync(folder) ? readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [];

const filesBelow = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return filesBelow(path);
        return entry.isFile() ? [path] : [];
      })
    : [];

/** Every folder that has a `src`: apps/<app>, libs/<name>, libs/<context>/<layer>. */
const projectsOf = (root) =>
  ['apps', 'libs', ...foldersIn(join(root, 'libs')).map(({ name }) => join('libs', name))]
    .flatMap((parent) => foldersIn(join(root, parent)).map(({ name }) => join(parent, name)))
    .filter((folder) => existsSync(join(root, folder, 'src')))
    .sort();

const isBuilt = (path) => !path.endsWith('.spec.ts') && !path.endsWith('.d.ts') && !path.endsWith('.md');

const targetOf = (root, project, path) => {
  const inside = relative(join(root, project, 'src'), path);
  return join(root, project, 'dist', inside.endsWith('.ts') ? `${inside.slice(0, -3)}.js` : inside);
};

const sourcesOf = (root) =>
  projectsOf(root).flatMap((project) =>
    filesBelow(join(root, project, 'src'))
      .filter(isBuilt)
      .sort()
      .map((path) => ({ path, target: targetOf(root, project, path), bytes: readFileSync(path) })),
  );

const hashOf = (root, sources) => {
  const hash = createHash('sha256');
  for (const input of INPUTS)
    hash
      .update(`${input}\0`)
      .update(readFileSync(join(root, input)))
      .update('\0');
  for (const { path, bytes } of sources) hash.update(`${relative(root, path)}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
};

const stampOf = (root) => join(root, 'node_modules', '.nexusmon-build');

const isCurrent = (root, sources, hash) => {
  const stamp = stampOf(root);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash && sources.every(({ target }) => existsSync(target));
};

const replaceFile = (path, content) => {
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(content))) return false;
  mkdirSync(dirname(path), { recursive: true });
  const written = `${path}.${process.pid}.part`;
  writeFileSync(written, content);
  renameSync(written, path);
  return true;
};

/** The compiler's message without its own stack, led by `file:line:column`. */
const explain = (root, path, error) => {
  const [report = ''] = String(error.message).split('\n\nCaused by:');
  const place = /\[[^\]\n]*?(:\d+:\d+)\]/.exec(report)?.[1] ?? '';
  return `${relative(root, path)}${place}: ${report.trim()}`;
};

const compile = async (root, transform, { path, target, bytes }) => {
  if (!path.endsWith('.ts')) return [{ target, content: bytes }];
  const sourceFileName = relative(dirname(target), path).split(sep).join('/');
  const { code, map } = await transform(bytes.toString('utf8'), {
    ...SWC_OPTIONS,
    filename: relative(root, path),
    sourceFileName,
  });
  return [
    { target, content: `${code}//# sourceMappingURL=${basename(target)}.map\n` },
    { target: `${target}.map`, content: map },
  ];
};

const compileAll = async (root, sources) => {
  const { transform } = await import('@swc/core');
  const [outputs, faults, waiting] = [[], [], [...sources]];
  const work = async () => {
    for (let source = waiting.shift(); source; source = waiting.shift()) {
      try {
        outputs.push(...(await compile(root, transform, source)));
      } catch (error) {
        faults.push(explain(root, source.path, error));
      }
    }
  };
  await Promise.all(Array.from({ length: FILES_IN_FLIGHT }, work));
  if (faults.length > 0) throw new BuildFault(faults.sort().join('\n\n'));
  return outputs;
};

const removeEmptyFolders = (folder) => {
  for (const { name } of foldersIn(folder)) removeEmptyFolders(join(folder, name));
  if (existsSync(folder) && readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
};

const removeStale = (root, outputs) => {
  const expected = new Set(outputs.map(({ target }) => target));
  const folders = ['apps', 'libs', ...foldersIn(join(root, 'libs')).map(({ name }) => join('libs', name))];
  for (const parent of folders) {
    for (const { name } of foldersIn(join(root, parent))) {
      const project = join(root, parent, name);
      // A `dist` folder beside no package.json is not ours to empty.
      if (!existsSync(join(project, 'package.json'))) continue;
      for (const path of filesBelow(join(project, 'dist'))) if (!expected.has(path)) rmSync(path, { force: true });
      removeEmptyFolders(join(project, 'dist'));
    }
  }
};

/** Brings every `dist` up to date. `written` counts the files that changed; `current` says there was nothing to do. */
export const build = async (root = ROOT) => {
  const before = sourcesOf(root);
  if (isCurrent(root, before, hashOf(root, before))) return { current: true, sources: before.length, written: 0 };

  return withLock(`${stampOf(root)}.lock`, async () => {
    const sources = sourcesOf(root);
    const hash = hashOf(root, sources);
    if (isCurrent(root, sources, hash)) return { current: true, sources: sources.length, written: 0 };
    // Without its stamp a build that dies half-way is done again.
    rmSync(stampOf(root), { force: true });
    const outputs = await compileAll(root, sources);
    const written = outputs.filter(({ target, content }) => replaceFile(target, content)).length;
    removeStale(root, outputs);
    replaceFile(stampOf(root), hash);
    return { current: false, sources: sources.length, written };
  });
};

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const started = performance.now();
  try {
    const { current, sources, written } = await build();
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    console.log(
      current
        ? `build: up to date (${seconds} s)`
        : `build: ${sources} sources, ${written} files written (${seconds} s)`,
    );
  } catch (error) {
    if (!(error instanceof BuildFault)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
