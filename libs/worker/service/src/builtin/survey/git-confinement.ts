// Whether a repository lies wholly where files may be read: git itself follows every link and every list of borrowed
// objects, so a link planted inside `.git` would have it read commits of a repository elsewhere.
//
//   C1. Every place that git reads commits by lies under an allowed root, borrowed objects and what those borrow too.
//   C2. git opens by path, so it is not enough to have looked before: the seal names each of those places and every
//       folder above it, with the time of its last change. Nobody can set that time, and a swap changes it. The same
//       seal before and after says that nothing was swapped in between, not even back again.
//   C3. The clock of file systems ticks in milliseconds: a place that changed just now could change again unseen, so
//       no seal is made of it until the clock has moved on.

import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { resolveAllowed } from '@nexusmon/worker-contract';
import { faultCode, isGone, isUnreadable } from './file-faults.js';

type Roots = Readonly<{ allowed_roots: readonly string[]; forbidden_roots: readonly string[] }>;

/** What leads to commits beside the objects: the names git starts from. */
const NAMES = ['HEAD', 'config', 'commondir', 'packed-refs', 'shallow', 'refs', 'refs/heads'];
/** git itself goes five lists deep. */
const LENDERS_MAX = 16;
const TICK_MS = 20;

export type Repository = Readonly<{ root: string; top_level: string; git_folders: readonly string[] }>;

/** `unsettled`: something changed just now (C3). `led_out`: a place lies outside the allowed roots (C1). */
export type Seal = Readonly<{ state: 'sealed'; text: string } | { state: 'led_out' | 'unsettled' }>;

/** The seal of a repository and of the folder it was found from. */
export const sealOf = (repository: Repository, roots: Roots, now_ms: () => number = Date.now): Promise<Seal> =>
  new SealedPlaces(roots, now_ms).of(repository);

export const isSame = (before: Seal, after: Seal) =>
  before.state === 'sealed' && after.state === 'sealed' && before.text === after.text;

class SealedPlaces {
  private readonly marks = new Map<string, string>();
  private changed_at_ms = 0;

  constructor(
    private readonly roots: Roots,
    private readonly now_ms: () => number,
  ) {}

  async of({ root, top_level, git_folders }: Repository): Promise<Seal> {
    const starts = [root, top_level, join(top_level, '.git'), ...git_folders];
    const named = await existing(git_folders.flatMap((folder) => NAMES.map((name) => join(folder, name))));
    const objects = git_folders.map((folder) => join(folder, 'objects'));
    if (!(await this.takeAll([...starts, ...named])) || !(await this.takeObjects(objects))) return { state: 'led_out' };
    const age_ms = this.now_ms() - this.changed_at_ms;
    // A time far ahead is another machine's clock, which no waiting here moves.
    if (age_ms < TICK_MS && age_ms > -TICK_MS) return { state: 'unsettled' };
    return { state: 'sealed', text: JSON.stringify([...this.marks].sort(([a], [b]) => (a < b ? -1 : 1))) };
  }

  /** The folders of objects, the folders and links in them, and those they borrow from (C1). */
  private async takeObjects(starts: readonly string[]): Promise<boolean> {
    const pending = [...starts];
    const seen = new Set<string>();
    for (let objects = pending.pop(); objects !== undefined; objects = pending.pop()) {
      if (seen.has(objects)) continue;
      seen.add(objects);
      if (seen.size > LENDERS_MAX) return false;
      const parts = (await entriesIn(objects)).map((entry) => join(objects, entry.name));
      const linked = await Promise.all(parts.map((part) => linksIn(part)));
      const lists = await existing([objects, join(objects, 'info/alternates')]);
      const led = (await Promise.all(parts.map(async (part) => ((await this.mark(part)) ? [part] : [])))).flat();
      if (!(await this.takeAll([...lists, ...led, ...linked.flat()]))) return false;
      const lenders = await alternatesOf(objects);
      if (!(await this.takeAll(lenders))) return false;
      pending.push(...lenders);
    }
    return true;
  }

  private async takeAll(paths: readonly string[]): Promise<boolean> {
    for (const path of paths) if (!(await this.take(path))) return false;
    return true;
  }

  /** A place, what it leads to, and every folder above that up to the allowed root. */
  private async take(path: string): Promise<boolean> {
    const { allowed_roots, forbidden_roots } = this.roots;
    const judged = await resolveAllowed(path, allowed_roots, forbidden_roots, (one) => realpath(one));
    if (!judged.allowed) return false;
    await this.mark(path);
    for (let place = judged.path; ; place = dirname(place)) {
      if (!this.marks.has(place)) await this.mark(place);
      if (place === judged.root) return true;
    }
  }

  /** Says whether it is a link, so that what it leads to has to be taken too. */
  private async mark(path: string): Promise<boolean> {
    const found = await unlessGone(lstat(path, { bigint: true }), undefined);
    this.marks.set(path, found ? `${found.dev}:${found.ino}:${found.ctimeNs}` : 'gone');
    if (found) this.changed_at_ms = Math.max(this.changed_at_ms, Number(found.ctimeMs));
    return found?.isSymbolicLink() ?? false;
  }
}

const entriesIn = (folder: string) => unlessGone(readdir(folder, { withFileTypes: true }), []);

const linksIn = async (folder: string) =>
  (await entriesIn(folder)).filter((entry) => entry.isSymbolicLink()).map((entry) => join(folder, entry.name));

/** A path in the list may be relative to the objects that borrow. */
const alternatesOf = async (objects: string) => {
  const list = await unlessGone(readFile(join(objects, 'info/alternates'), 'utf8'), '');
  return list.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [resolve(objects, line)]));
};

/** Those that are there, even as a link to nothing. */
const existing = async (paths: readonly string[]) => {
  const found = paths.map(async (path) => ((await unlessGone(lstat(path), undefined)) ? [path] : []));
  return (await Promise.all(found)).flat();
};

/** What may not be read, git may not read either. */
const unlessGone = async <Value, Otherwise>(
  reading: Promise<Value>,
  otherwise: Otherwise,
): Promise<Value | Otherwise> => {
  try {
    return await reading;
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code) || isUnreadable(code)) return otherwise;
    throw error;
  }
};
