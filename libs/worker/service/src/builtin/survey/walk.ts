// Every regular file below a folder, with what was left out and why.
//
//   T1. Symbolic links are neither followed nor counted as files; their number is told.
//   T2. What cannot be read is named. What vanishes during the walk is counted as vanished, and is no fault.
//   T3. Files come in the byte order of their paths, whatever order the file system lists them in.
//   T4. A forbidden folder is never opened.
//   T5. No folder outside the root is listed, even where one above was swapped for a link: it has vanished.

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { WorkerFault } from '../../worker-plugin.js';
import { inRealFolder } from '../real-files.js';
import { IGNORED_FILE, ignoreRules } from './ignore-rules.js';
import { faultCode, isGone, isUnreadable } from './file-faults.js';

/** Paths are held in memory: about 200 bytes a file. More than this is not one project. */
export const FILES_MAX = 500_000;

export type Unreadable = Readonly<{ path: Buffer; kind: 'file' | 'folder'; reason: string }>;
export type Tree = {
  files: Buffer[];
  ignored_folders: Buffer[];
  unreadable: Unreadable[];
  skipped: { symlinks: number; special: number; vanished: number };
};

const SLASH = Buffer.from('/');
const EMPTY = Buffer.alloc(0);
/** The path of `name` in `folder`, which may be empty (the root of a listing) or end with a slash (`/` itself). */
export const below = (folder: Buffer, name: Buffer) =>
  folder.length === 0
    ? name
    : folder.at(-1) === 0x2f
      ? Buffer.concat([folder, name])
      : Buffer.concat([folder, SLASH, name]);

export const walk = async (root: string, forbidden_roots: readonly string[], signal: AbortSignal): Promise<Tree> => {
  const base = Buffer.from(root);
  const forbidden = new Set(forbidden_roots.map((path) => Buffer.from(path).toString('latin1')));
  const isForbidden = (path: Buffer) => forbidden.has(below(base, path).toString('latin1'));
  const tree: Tree = {
    files: [],
    ignored_folders: [],
    unreadable: [],
    skipped: { symlinks: 0, special: 0, vanished: 0 },
  };
  const folders: Buffer[] = [EMPTY];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted();
    const entries = await entriesOf(base, folder, tree);
    if (entries === undefined) continue;
    const names = new Set(entries.map((entry) => entry.name.toString('latin1')));
    if (folder.length > 0 && ignoreRules.holding.some((name) => names.has(name))) {
      tree.ignored_folders.push(folder);
      continue;
    }
    for (const entry of entries) {
      const path = below(folder, entry.name);
      if (entry.isDirectory()) {
        if (isIgnored(entry.name.toString('latin1'), names) || isForbidden(path)) tree.ignored_folders.push(path);
        else folders.push(path);
      } else if (entry.isSymbolicLink()) tree.skipped.symlinks += 1;
      else if (!entry.isFile()) tree.skipped.special += 1;
      else if (entry.name.toString('latin1') !== IGNORED_FILE && !isForbidden(path)) tree.files.push(path);
    }
    if (tree.files.length > FILES_MAX) throw new WorkerFault(`the folder holds more than ${FILES_MAX} files`, false);
  }
  tree.files.sort(byBytes);
  tree.ignored_folders.sort(byBytes);
  return tree;
};

const byBytes = (a: Buffer, b: Buffer) => Buffer.compare(a, b);

const entriesOf = async (base: Buffer, folder: Buffer, tree: Tree): Promise<Dirent<Buffer>[] | undefined> => {
  const absolute = folder.length === 0 ? base : below(base, folder);
  try {
    return await inRealFolder(absolute, (within) => readdir(within, { encoding: 'buffer', withFileTypes: true }));
  } catch (error) {
    const code = faultCode(error);
    if (folder.length === 0) throw new WorkerFault(`the folder cannot be listed (${code})`, false, { cause: error });
    if (isGone(code)) tree.skipped.vanished += 1;
    else if (isUnreadable(code)) tree.unreadable.push({ path: folder, kind: 'folder', reason: code });
    else throw error;
    return undefined;
  }
};

const isIgnored = (name: string, siblings: ReadonlySet<string>) => {
  if (ignoreRules.names.includes(name)) return true;
  return ignoreRules.beside.some(
    (rule) => rule.name === name && rule.beside.some((sibling) => holdsSibling(siblings, sibling)),
  );
};

const holdsSibling = (siblings: ReadonlySet<string>, wanted: string) => {
  if (!wanted.startsWith('*')) return siblings.has(wanted);
  for (const sibling of siblings) if (sibling.endsWith(wanted.slice(1))) return true;
  return false;
};
