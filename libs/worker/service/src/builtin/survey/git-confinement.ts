// Whether a repository lies wholly where files may be read: git itself follows every link and every list of borrowed
// objects, so a link planted inside `.git` would have it read commits of a repository elsewhere.

import { readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { resolveAllowed } from '@nexusmon/worker-contract';
import { faultCode, isGone } from './file-faults.js';

type Roots = Readonly<{ allowed_roots: readonly string[]; forbidden_roots: readonly string[] }>;

/** What leads to commits: the names git starts from, and the folders whose entries it opens. */
const NAMES = ['HEAD', 'packed-refs', 'refs', 'refs/heads', 'objects', 'objects/info/alternates'];
const FOLDERS = ['objects', 'objects/pack'];

export const isConfined = async (git_folders: readonly string[], roots: Roots): Promise<boolean> => {
  for (const folder of git_folders) {
    const linked = (await Promise.all(FOLDERS.map((name) => linksIn(join(folder, name))))).flat();
    const borrowed = await alternatesOf(join(folder, 'objects'));
    const named = await existing(NAMES.map((name) => join(folder, name)));
    for (const path of [folder, ...named, ...linked, ...borrowed]) {
      const judged = await resolveAllowed(path, roots.allowed_roots, roots.forbidden_roots, (one) => realpath(one));
      if (!judged.allowed) return false;
    }
  }
  return true;
};

const linksIn = async (folder: string) => {
  const entries = await unlessGone(readdir(folder, { withFileTypes: true }), []);
  return entries.filter((entry) => entry.isSymbolicLink()).map((entry) => join(folder, entry.name));
};

/** A path in the list may be relative to the objects that borrow. */
const alternatesOf = async (objects: string) => {
  const list = await unlessGone(readFile(join(objects, 'info/alternates'), 'utf8'), '');
  return list.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [resolve(objects, line)]));
};

const existing = async (paths: readonly string[]) => {
  const listed = paths.map(async (path) => {
    const siblings = await unlessGone(readdir(dirname(path)), []);
    return siblings.some((name) => path.endsWith(`/${name}`)) ? [path] : [];
  });
  return (await Promise.all(listed)).flat();
};

const unlessGone = async <Value>(reading: Promise<Value>, otherwise: Value): Promise<Value> => {
  try {
    return await reading;
  } catch (error) {
    if (isGone(faultCode(error))) return otherwise;
    throw error;
  }
};
