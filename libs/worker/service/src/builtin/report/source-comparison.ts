// The manifest of a survey against the tree as it is now.
//
//   C1. A file whose size or digest is another, or that came or went, is drift: it is named, and its figures are taken
//       from the manifest.
//   C2. A file that is the same must count the same: any other figure for it is a difference.
//   C3. So the totals here are the report's own exactly when every figure of every unchanged file was right.

import type { DriftItem, ManifestEntry, SurveyManifest } from '@nexusmon/worker-contract';
import { TODO_PLACES_MAX } from '@nexusmon/worker-contract';
import type { WorkerContext } from '../../worker-plugin.js';
import type { Differences } from './differences.js';
import { recount } from './recount.js';
import type { Recounted } from './recount.js';

const PROGRESS_FILES = 1_000;

export type LanguageTotals = Map<string, { files: number; bytes: number; lines: number }>;
export type Totals = { files: number; bytes: number; lines: number; todos: number; languages: LanguageTotals };
export type Comparison = Readonly<{
  drift: readonly DriftItem[];
  drifted: ReadonlySet<string>;
  totals: Totals;
  /** How much of the totals was recomputed from the source. */
  recomputed: Readonly<{ files: number; bytes: number; lines: number; todos: number }>;
  /** Line and marker of the first places of each unchanged file that has any. */
  places: ReadonlyMap<string, readonly string[]>;
}>;

export const compareWithSource = async (
  root: string,
  manifest: SurveyManifest,
  differences: Differences,
  context: WorkerContext,
): Promise<Comparison> => {
  const expected = new Map(manifest.files.map((entry) => [entry.path, entry]));
  const drift: DriftItem[] = [];
  const totals: Totals = { files: 0, bytes: 0, lines: 0, todos: 0, languages: new Map() };
  const recomputed = { files: 0, bytes: 0, lines: 0, todos: 0 };
  const places = new Map<string, readonly string[]>();
  let seen = 0;
  for await (const file of recount(root, context.forbidden_roots, TODO_PLACES_MAX, context.signal)) {
    seen += 1;
    if (seen % PROGRESS_FILES === 0)
      context.progress(`recounted ${seen} files`, Math.min(0.9, seen / (expected.size + 1)));
    const entry = expected.get(file.path);
    const change = changeOf(entry, file);
    if (change) drift.push({ path: file.path, change });
    if (entry === undefined) continue;
    expected.delete(file.path);
    add(totals, change ? entry : file);
    if (change) continue;
    compareFile(entry, file, differences);
    recomputed.files += 1;
    recomputed.bytes += file.size;
    recomputed.lines += file.lines;
    recomputed.todos += file.todos;
    if (file.places.length > 0) places.set(file.path, file.places);
  }
  for (const entry of expected.values()) {
    drift.push({ path: entry.path, change: 'removed' });
    add(totals, entry);
  }
  drift.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { drift, drifted: new Set(drift.map(({ path }) => path)), totals, recomputed, places };
};

const changeOf = (entry: ManifestEntry | undefined, file: Recounted): DriftItem['change'] | undefined => {
  if (entry === undefined) return 'added';
  if ((entry.sha256 === null) !== (file.sha256 === null)) return 'readability';
  return entry.size !== file.size || entry.sha256 !== file.sha256 ? 'changed' : undefined;
};

const compareFile = (entry: ManifestEntry, file: Recounted, differences: Differences) => {
  differences.compare(`lines of ${entry.path}`, entry.lines, file.lines);
  differences.compare(`TODO and FIXME of ${entry.path}`, entry.todos, file.todos);
  differences.compare(`language of ${entry.path}`, entry.language, file.language);
};

const add = (totals: Totals, { size, lines, todos, language }: ManifestEntry | Recounted) => {
  totals.files += 1;
  totals.bytes += size;
  totals.lines += lines;
  totals.todos += todos;
  const row = totals.languages.get(language) ?? { files: 0, bytes: 0, lines: 0 };
  totals.languages.set(language, { files: row.files + 1, bytes: row.bytes + size, lines: row.lines + lines });
};
