// What the report states beside the totals: lists, commits, and the same figures in words.

import { LARGEST_FILES_MAX } from '@nexusmon/worker-contract';
import type { CommitLine, Dependency, ReportFigures, SurveyManifest, TodoPlace } from '@nexusmon/worker-contract';
import { WorkerFault } from '../../worker-plugin.js';
import { readReal } from '../real-files.js';
import { MANIFEST_BYTES_MAX } from '../survey/manifests/declarations.js';
import { readConfined } from '../survey/git-history.js';
import type { GitReach, RunGit } from '../survey/git-history.js';
import { oneLine, pathBytes } from '../survey/path-text.js';
import { below } from '../survey/walk.js';
import { markdownText } from '../markdown-text.js';
import type { Differences } from './differences.js';
import { FIGURE_LABELS } from './figures.js';
import type { Comparison } from './source-comparison.js';

/** Own selection instead of a sort: the largest of what is left, as often as the list is long. */
export const checkLargestFiles = (
  stated: readonly Readonly<{ path: string; size: number }>[],
  manifest: SurveyManifest,
  differences: Differences,
): number => {
  if (stated.length === 0 && manifest.files.length > 0) differences.note('largest files: none is stated');
  const taken = new Set<string>();
  for (const [index, { path, size }] of stated.slice(0, LARGEST_FILES_MAX).entries()) {
    let largest: Readonly<{ path: string; size: number }> | undefined;
    for (const file of manifest.files)
      if (!taken.has(file.path) && (largest === undefined || file.size > largest.size)) largest = file;
    differences.compare(`largest file ${index + 1}`, `${path} (${size})`, `${largest?.path} (${largest?.size})`);
    if (largest) taken.add(largest.path);
  }
  return stated.length;
};

/** The places are the first of the tree in the order of the manifest, and each is where the source has it. */
export const checkPlaces = (
  stated: readonly TodoPlace[],
  manifest: SurveyManifest,
  { drifted, places }: Comparison,
  differences: Differences,
): number => {
  let checked = 0;
  const marked = manifest.files.filter(({ todos }) => todos > 0);
  if (stated.length === 0 && marked.length > 0) differences.note('TODO and FIXME places: none is stated');
  for (const { path, todos } of marked) {
    const here = stated.slice(checked, checked + todos).filter((place) => place.path === path);
    const ends = checked + here.length === stated.length;
    if (here.length < todos && !ends)
      differences.note(`TODO and FIXME places: ${path} has ${todos}, stated ${here.length}`);
    for (const [index, { line, marker }] of here.entries())
      if (!drifted.has(path))
        differences.compare(
          `place ${index + 1} in ${path}`,
          `${line} ${marker}`,
          places.get(path)?.[index] ?? 'nothing',
        );
    checked += here.length;
    if (ends) break;
  }
  if (checked < stated.length) differences.note(`TODO and FIXME places: ${stated.length - checked} stand in no file`);
  return checked;
};

/** As long as the survey shows a name. */
const NAME_CHARACTERS = 200;

/** Every dependency that the report shows stands in the manifest file it names, and in the survey's whole list. */
export const checkDependencies = async (
  root: string,
  stated: readonly Dependency[],
  manifest: SurveyManifest,
  { drifted }: Comparison,
  differences: Differences,
): Promise<number> => {
  const keyOf = ({ manifest: file, ecosystem, name, version, kind }: Dependency) =>
    JSON.stringify([file, ecosystem, name, version, kind]);
  const whole = new Set(manifest.dependencies.map(keyOf));
  const names = new Map<string, (name: string) => boolean>();
  for (const dependency of stated) {
    const { manifest: file, name } = dependency;
    if (!whole.has(keyOf(dependency))) differences.note(`dependency ${name} of ${file}: not in the survey's list`);
    if (drifted.has(file)) continue;
    const declares = names.get(file) ?? declaredNames(await manifestText(root, file), file);
    names.set(file, declares);
    if (!declares(name)) differences.note(`dependency ${name}: does not stand in ${file}`);
  }
  return stated.length;
};

const manifestText = async (root: string, file: string) => {
  const bytes = await readReal(below(Buffer.from(root), pathBytes(file)), MANIFEST_BYTES_MAX);
  if (bytes === undefined) throw new WorkerFault(`${file} grew while the report was verified`, true);
  return bytes.toString('utf8');
};

const declaredNames = (source: string, file: string): ((name: string) => boolean) => {
  if (file.endsWith('.json')) {
    const texts = jsonTexts(source);
    return (name) => texts.has(name);
  }
  // A name may be spelled with escapes or entities; such a file cannot be searched as text.
  const plain = !source.includes('\\') && !source.includes('&') && !source.includes('${');
  return (name) => !plain || (name.endsWith('…') ? true : name.split(':').every((part) => source.includes(part)));
};

/** Every text of a JSON document, keys and values, found without parsing it: nesting of any depth does no harm. */
const jsonTexts = (source: string) => {
  const texts = new Set<string>();
  for (let start = source.indexOf('"'); start !== -1;) {
    let end = start + 1;
    while (end < source.length && source[end] !== '"') end += source[end] === '\\' ? 2 : 1;
    texts.add(oneLine(JSON.parse(source.slice(start, end + 1)) as string, NAME_CHARACTERS));
    start = source.indexOf('"', end + 1);
  }
  return texts;
};

/** The commits read as raw objects, which the log's formatting has no part in. Returns whether others came since. */
export const checkCommits = async (
  stated: readonly CommitLine[],
  reach: GitReach,
  differences: Differences,
): Promise<{ checked: number; moved: boolean }> => {
  const answer = await readConfined(reach, (git, { top_level }) =>
    commitObjects(git, stated, top_level === reach.root ? [] : ['.']),
  );
  if ('state' in answer) {
    // Somebody may be committing; another attempt can find the repository at rest.
    if (answer.state === 'failed') throw new WorkerFault(`the commits cannot be read: ${answer.detail}`, true);
    differences.note(`commits: cannot be read from the repository (${answer.state})`);
    return { checked: 0, moved: false };
  }
  const { listed, objects } = answer.read;
  for (const [index, commit] of stated.entries()) {
    const object = objects[index];
    if (object === undefined) differences.note(`commit ${commit.sha}: cannot be read from the repository`);
    else compareCommit(commit, object, differences);
  }
  const moved = listed !== undefined && listed.join() !== stated.map(({ sha }) => sha).join();
  return { checked: stated.length, moved };
};

const commitObjects = async (git: RunGit, stated: readonly CommitLine[], inside: readonly string[]) => {
  const list = await git('rev-list', `--max-count=${stated.length}`, 'HEAD', '--', ...inside);
  const shas = list.stdout.toString('utf8').split('\n');
  const objects: (Buffer | undefined)[] = [];
  for (const { sha } of stated) {
    const object = await git('cat-file', 'commit', sha);
    objects.push(object.code === 0 ? object.stdout : undefined);
  }
  return { listed: list.code === 0 ? shas.filter((sha) => sha !== '') : undefined, objects };
};

const compareCommit = (commit: CommitLine, object: Buffer, differences: Differences) => {
  const latin1 = /^encoding (?:iso-?8859-1|latin-?1)$/im.test(object.toString('latin1').split('\n\n', 1)[0] ?? '');
  const text = object.toString(latin1 ? 'latin1' : 'utf8');
  const end = text.indexOf('\n\n');
  const head = text.slice(0, end);
  const author = /^author (.*?) ?<[^>]*> \d+ [+-]\d{4}$/m.exec(head)?.[1] ?? '';
  const [, seconds = '0', zone = '+0000'] = /^committer .*> (\d+) ([+-]\d{4})$/m.exec(head) ?? [];
  const [subject = ''] = text
    .slice(end + 2)
    .replace(/^\s+/, '')
    .split(/\n\s*\n/, 1);
  differences.compare(`time of commit ${commit.sha}`, commit.committed_at, isoTime(Number(seconds), zone));
  if (!saysTheSame(commit.author, author)) differences.note(`author of commit ${commit.sha}: ${commit.author}`);
  if (!saysTheSame(commit.subject, subject)) differences.note(`subject of commit ${commit.sha}: ${commit.subject}`);
};

/** ISO 8601 in the committer's zone. */
const isoTime = (seconds: number, zone: string) => {
  const minutes = Number(`${zone.slice(0, 1)}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3)));
  const local = new Date((seconds + minutes * 60) * 1_000).toISOString().slice(0, 19);
  return `${local}${zone.slice(0, 3)}:${zone.slice(3)}`;
};

/** A long text is stated by its beginning, with dots after it. */
const saysTheSame = (stated: string, source: string) => {
  const whole = oneLine(source, source.length);
  const beginning = stated.replace(/(\.\.|…)+$/, '');
  return stated === whole || (beginning !== stated && whole.startsWith(beginning));
};

/** The summary table of the Markdown says the same figures as the JSON. */
export const checkMarkdown = (markdown: string, figures: ReportFigures, differences: Differences): number => {
  const lines = new Set(markdown.split('\n'));
  const entries = Object.entries(FIGURE_LABELS) as [keyof ReportFigures, string][];
  for (const [figure, label] of entries)
    if (!lines.has(`| ${markdownText(label)} | ${figures[figure]} |`))
      differences.note(`${figure}: the Markdown report does not state ${figures[figure]}`);
  return entries.length;
};
