// The survey's answer: figures in full, lists cut to what a mission may carry. The manifest artifact has them whole.

import { INLINE_DEPENDENCIES_MAX, LARGEST_FILES_MAX, TODO_PLACES_MAX } from '@nexusmon/worker-contract';
import type {
  ArtifactRef,
  Dependency,
  LanguageFigures,
  RepositorySurveyOutput,
  TodoPlace,
} from '@nexusmon/worker-contract';
import { fitting } from './fitting.js';
import type { GitHistory } from './git-history.js';
import { ignoreRules } from './ignore-rules.js';
import type { Declarations } from './manifests/declarations.js';
import { oneLine, pathText } from './path-text.js';
import type { SurveyedFile } from './read-file.js';
import type { Tree } from './walk.js';

const KIB = 1024;
const SHORT_LIST_MAX = 20;
const LICENCE_ROWS_MAX = 30;
const LICENCE_CHARACTERS = 200;

export type Surveyed = Readonly<{
  root: string;
  files: readonly SurveyedFile[];
  tree: Tree;
  declarations: Declarations;
  places: readonly TodoPlace[];
  history: GitHistory;
  manifest: ArtifactRef;
}>;

/** Lists are halved until the whole fits: only paths of thousands of bytes come that far. */
export const surveyOutput = (surveyed: Surveyed, bytes_max: number): RepositorySurveyOutput => {
  for (let share = 1; ; share /= 2) {
    const output = outputOf(surveyed, share);
    if (Buffer.byteLength(JSON.stringify(output)) <= bytes_max || share < 1 / 64) return output;
  }
};

const outputOf = (surveyed: Surveyed, share: number): RepositorySurveyOutput => {
  const { root, files, tree, declarations, places, history, manifest } = surveyed;
  const sum = (figure: 'size' | 'lines' | 'todos') => files.reduce((total, file) => total + file.figures[figure], 0);
  const listed = <Item>(items: readonly Item[], items_max: number, kib: number) => ({
    count: items.length,
    first: fitting(items, items_max, kib * KIB * share),
  });
  return {
    root,
    file_count: files.length,
    total_bytes: sum('size'),
    line_count: sum('lines'),
    languages: languagesOf(files),
    dependency_count: declarations.dependencies.length,
    dependencies: fitting(outermostFirst(declarations.dependencies), INLINE_DEPENDENCIES_MAX, 8 * KIB * share),
    manifest_problems: listed(declarations.problems, SHORT_LIST_MAX, 2),
    licences: {
      project: listed(outermostFirst(declarations.project_licences), SHORT_LIST_MAX, 2),
      dependencies: listed(packagesByLicence(declarations), LICENCE_ROWS_MAX, 2),
    },
    largest_files: fitting(largestOf(files), LARGEST_FILES_MAX, 5 * KIB * share),
    todo_count: sum('todos'),
    todos: fitting(places, TODO_PLACES_MAX, 10 * KIB * share),
    git: history.git,
    ...(history.last_commits && {
      last_commits: fitting(history.last_commits, history.last_commits.length, 5 * KIB * share),
    }),
    ignored: [...ignoreRules.names],
    ignored_beside: ignoreRules.beside.map(({ name, beside }) => ({ name, beside: [...beside] })),
    ignored_holding: [...ignoreRules.holding],
    ignored_folders: listed(tree.ignored_folders.map(pathText), SHORT_LIST_MAX, 2),
    skipped: tree.skipped,
    unreadable: listed(unreadableOf(tree), SHORT_LIST_MAX, 2),
    manifest,
  };
};

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Most bytes first. */
const languagesOf = (files: readonly SurveyedFile[]): LanguageFigures[] => {
  const rows = new Map<string, LanguageFigures>();
  for (const { figures } of files) {
    const row = rows.get(figures.language) ?? { language: figures.language, files: 0, bytes: 0, lines: 0 };
    rows.set(figures.language, {
      ...row,
      files: row.files + 1,
      bytes: row.bytes + figures.size,
      lines: row.lines + figures.lines,
    });
  }
  return [...rows.values()].sort((a, b) => b.bytes - a.bytes || byText(a.language, b.language));
};

const largestOf = (files: readonly SurveyedFile[]) =>
  files
    .toSorted((a, b) => b.figures.size - a.figures.size || Buffer.compare(a.path, b.path))
    .slice(0, LARGEST_FILES_MAX)
    .map(({ path, figures }) => ({ path: pathText(path), size: figures.size }));

/** What the project itself declares comes before what its parts and fixtures do. The sort is stable. */
const outermostFirst = <Item extends Dependency | { source: string }>(items: readonly Item[]): Item[] => {
  const depth = (item: Item) => ('manifest' in item ? item.manifest : item.source).split('/').length;
  return items.toSorted((a, b) => depth(a) - depth(b));
};

const packagesByLicence = ({ locked }: Declarations) => {
  const licence_by_package = new Map(
    locked.flatMap(({ packages }) =>
      packages.map(({ name, version, licence }) => [`${name}@${version}`, licence] as const),
    ),
  );
  const counts = new Map<string, number>();
  for (const licence of licence_by_package.values()) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  return [...counts]
    .map(([licence, packages]) => ({ licence: oneLine(licence, LICENCE_CHARACTERS), packages }))
    .sort((a, b) => b.packages - a.packages || byText(a.licence, b.licence));
};

const unreadableOf = (tree: Tree) =>
  tree.unreadable
    .toSorted((a, b) => Buffer.compare(a.path, b.path))
    .map(({ path, kind, reason }) => ({ path: pathText(path), kind, reason }));
