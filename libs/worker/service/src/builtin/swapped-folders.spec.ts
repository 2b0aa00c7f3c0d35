// A folder is swapped for a link between the moment it is listed and the moment it is read, at the same point each
// time: the swap is made by what the workers themselves call in between.

import { renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { surveyManifest } from '@nexusmon/worker-contract';
import { memoryContext, removeFolder, run, temporaryFolder, writeTree } from './memory-context.fixture.js';
import { Differences } from './report/differences.js';
import { recount } from './report/recount.js';
import { checkDependencies } from './report/statement-checks.js';
import { declarationsOf } from './survey/manifests/declarations.js';
import { readFigures } from './survey/read-file.js';
import { walk } from './survey/walk.js';

const signal = new AbortController().signal;
const SECRET = 'TODO leaked-secret\n';
let base = '';
let root = '';
beforeEach(async () => {
  base = await temporaryFolder();
  root = join(base, 'root');
  const inside = { 'd/f1': 'in\n', 'd/f2': 'in\n', 'd/e1/g': 'in\n', 'd/e2/g': 'in\n', 'd/package.json': '{}' };
  const manifest = JSON.stringify({ license: 'leaked-licence', dependencies: { 'leaked-secret': '1' } });
  const outside = { f1: SECRET, f2: SECRET, 'e1/g': SECRET, 'e2/g': SECRET, 'new/h': SECRET, 'package.json': manifest };
  await writeTree(root, inside);
  await writeTree(join(base, 'outside'), outside);
});
afterEach(() => removeFolder(base));

let swapped = false;
beforeEach(() => {
  swapped = false;
});
const swap = (folder = join(root, 'd')) => {
  if (swapped) return;
  swapped = true;
  renameSync(folder, join(base, 'away'));
  symlinkSync(join(base, 'outside'), folder);
};

/** Roots that are read only once the path has been resolved, and so swap just after it was. */
const swappingRoots = (folder: string): readonly string[] =>
  Object.assign([], {
    find: () => {
      swap(folder);
      return undefined;
    },
  });

describe('a folder swapped for a link', () => {
  it('after the walk gives nothing of what the link leads to', async () => {
    const context = { ...memoryContext([root]), progress: () => swap() };
    const output = await run('repository.survey', { path: root }, context);
    expect(swapped).toBe(true);
    expect(output).toMatchObject({ file_count: 0, todo_count: 0, dependency_count: 0, skipped: { vanished: 5 } });
    expect(JSON.stringify(output)).not.toContain('leaked');
    const bytes = context.kept.get(output.manifest.artifact_id) ?? new Uint8Array();
    expect(surveyManifest.parse(JSON.parse(Buffer.from(bytes).toString())).files).toEqual([]);
  });

  it('between the listing of a folder and of those in it is not walked into', async () => {
    let asked = 0;
    const throwIfAborted = () => {
      asked += 1;
      // The root and `d` have been listed; what lies in `d` comes next.
      if (asked === 3) swap();
    };
    const tree = await walk(root, [], Object.assign(new AbortController().signal, { throwIfAborted }));
    expect(swapped).toBe(true);
    expect(tree.files.map(String)).toEqual(['d/f1', 'd/f2', 'd/package.json']);
    expect(tree.skipped).toEqual({ symlinks: 0, special: 0, vanished: 2 });
  });

  it('before a file or a manifest is read counts as gone', async () => {
    swap();
    expect(await readFigures(Buffer.from(root), Buffer.from('d/f1'), 10, signal)).toEqual({ outcome: 'gone' });
    const listed = [{ path: Buffer.from('d/package.json'), size: 2 }];
    expect(await declarationsOf(root, listed, signal)).toMatchObject({
      dependencies: [],
      project_licences: [],
      problems: [{ manifest: 'd/package.json', problem: 'cannot be read (MOVED)' }],
    });
  });

  it('while it is recounted gives no further file', async () => {
    const found: string[] = [];
    for await (const { path, todos } of recount(root, [], 10, signal)) {
      found.push(path);
      expect(todos).toBe(0);
      swap();
    }
    expect(found).toHaveLength(1);
  });

  it('before the dependencies are checked is not searched for them', async () => {
    swap();
    const entry = {
      ecosystem: 'npm',
      kind: 'runtime',
      manifest: 'd/package.json',
      name: 'leaked-secret',
      version: '1',
    };
    const manifest = surveyManifest.parse({
      format: 'nexusmon.survey.manifest.v1',
      ...{ root, dependencies: [entry], files: [], ignored_folders: [], unreadable: [] },
    });
    const none = { files: 0, bytes: 0, lines: 0, todos: 0 };
    const comparison = {
      ...{ drift: [], drifted: new Set<string>(), recomputed: none, places: new Map<string, readonly string[]>() },
      totals: { ...none, languages: new Map<string, { files: number; bytes: number; lines: number }>() },
    };
    const checking = checkDependencies(root, manifest.dependencies, manifest, comparison, new Differences());
    await expect(checking).rejects.toMatchObject({ code: 'MOVED' });
  });

  it('after a path was judged is neither surveyed nor looked at for a brief', async () => {
    const folder = join(root, 'd');
    const input = { goal: 'look', params: {}, known: { templates: [], workers: [] }, sources: [join(folder, 'e1')] };
    const scouted = await run('brief.scout', input, memoryContext([root], swappingRoots(folder)));
    expect(swapped).toBe(true);
    expect(scouted.sources).toContainEqual(expect.objectContaining({ source_id: 'unreadable:1' }));
  });

  it('after the folder to survey was judged fails the survey for good', async () => {
    const folder = join(root, 'd');
    const surveying = run('repository.survey', { path: folder }, memoryContext([root], swappingRoots(folder)));
    await expect(surveying).rejects.toMatchObject({ name: 'WorkerFault', retryable: false });
    expect(swapped).toBe(true);
  });
});
