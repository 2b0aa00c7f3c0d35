// The workers that come with the product: what each takes, what it gives, and what it may do.
//
//   W1. The mission service validates plans against this table without loading any worker's code.
//   W2. Every list in an output is bounded in number here and in bytes by its worker; a count beside it says how many
//       there are in all.
//   W3. Outputs hold no clock, no duration and no random part: the same tree gives the same output.

import { digest, isKeepable, json, text } from '@nexusmon/shared-contract';
import type { Rank } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { artifactRef } from './runner.messages.js';

const count = z.int().min(0);
/** A path has at most 4096 bytes, and a byte that is no text takes four characters. */
const short = z.string().max(4 * 4_096);
const folder_path = text(1, 4_096).meta({
  description: 'A folder under the allowed roots; a relative path starts at the first of them.',
});

// system.echo

export const systemEchoInput = z.strictObject({ value: json });
export const systemEchoOutput = z.strictObject({ value: json });

// http.fetch

export const FETCH_BYTES_MAX = 16 * 1024 * 1024;
const FETCH_BYTES = 1024 * 1024;
export const FETCH_SECONDS_MAX = 120;
const FETCH_SECONDS = 30;
export const URL_LENGTH_MAX = 8_192;
/** Of an answer's header fields, those that say what its body is. */
export const ANSWER_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'etag',
  'last-modified',
] as const;

export const httpFetchInput = z.strictObject({
  url: text(1, URL_LENGTH_MAX).meta({
    description: 'An https or http URL whose host is listed in NEXUSMON_FETCH_HOSTS.',
  }),
  method: z.enum(['GET', 'HEAD']).default('GET'),
  accept: z
    .string()
    .regex(/^[\x20-\x7e]{1,256}$/)
    .optional()
    .meta({ description: 'The Accept header.' }),
  bytes_max: z.int().min(1).max(FETCH_BYTES_MAX).default(FETCH_BYTES).meta({ description: 'Of the body, decoded.' }),
  timeout_seconds: z
    .number()
    .positive()
    .max(FETCH_SECONDS_MAX)
    .default(FETCH_SECONDS)
    .meta({ description: 'For everything: names, connections, redirects and the body.' }),
});
/** Any final answer is an output, also a 404: what it means is for the plan to say. */
export const httpFetchOutput = z.strictObject({
  url: z.string(),
  /** After redirects. */
  final_url: z.string().max(URL_LENGTH_MAX),
  redirects: count,
  status: z.int().min(200).max(599),
  headers: z.partialRecord(z.enum(ANSWER_HEADERS), z.string().max(1_024)),
  /** Of the decoded body; absent for HEAD. */
  sha256: digest.optional(),
  size: count,
  artifact: artifactRef.optional(),
});
export type HttpFetchOutput = z.infer<typeof httpFetchOutput>;

// Which files a worker may read

export type AllowedPath =
  | Readonly<{ allowed: true; path: string; root: string }>
  | Readonly<{ allowed: false; reason: 'unkeepable' | 'not_found' | 'outside' | 'forbidden'; message: string }>;

/**
 * The real path behind `path`, if it lies under an allowed root and under no forbidden one. All roots are absolute real
 * paths; a relative `path` starts at the first allowed root. `realpath` is the file system's: it follows every symbolic
 * link, so a link that leads out is judged by where it leads. A path that does not exist reads the same as one outside,
 * unless it is written under an allowed root: nobody learns here what lies elsewhere.
 */
export const resolveAllowed = async (
  path: string,
  allowed_roots: readonly string[],
  forbidden_roots: readonly string[],
  realpath: (path: string) => Promise<string>,
): Promise<AllowedPath> => {
  const [first] = allowed_roots;
  if (path === '' || !isKeepable(path))
    return { allowed: false, reason: 'unkeepable', message: 'the path is empty or holds U+0000' };
  const outside = { allowed: false, reason: 'outside', message: 'the path is not under an allowed folder' } as const;
  if (first === undefined) return outside;
  const absolute = path.startsWith('/') ? path : `${first}/${path}`;
  let real: string;
  try {
    real = await realpath(absolute);
  } catch (error) {
    if (!isUnresolvable(error)) throw error;
    if (!rootOf(lexical(absolute), allowed_roots)) return outside;
    return { allowed: false, reason: 'not_found', message: 'there is nothing at this path that can be reached' };
  }
  const root = rootOf(real, allowed_roots);
  if (root === undefined) return outside;
  if (rootOf(real, forbidden_roots) !== undefined)
    return { allowed: false, reason: 'forbidden', message: 'the path lies in a folder that is never read' };
  return { allowed: true, path: real, root };
};

const UNRESOLVABLE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM', 'ENAMETOOLONG'];
const isUnresolvable = (error: unknown) =>
  error instanceof Error && 'code' in error && UNRESOLVABLE.includes(String(error.code));

const rootOf = (path: string, roots: readonly string[]) =>
  roots.find((root) => path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`));

/** The path with `.`, `..` and repeated slashes taken out, as text: nothing is looked up. */
const lexical = (path: string) => {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return `/${kept.join('/')}`;
};

// repository.survey

export const LARGEST_FILES_MAX = 20;
export const TODO_PLACES_MAX = 50;
export const LAST_COMMITS_MAX = 10;
export const INLINE_DEPENDENCIES_MAX = 60;
export const SURVEY_OUTPUT_BYTES_MAX = 48 * 1024;

export const repositorySurveyInput = z.strictObject({ path: folder_path });

export const languageFigures = z.strictObject({ language: short, files: count, bytes: count, lines: count });
export type LanguageFigures = z.infer<typeof languageFigures>;

export const DEPENDENCY_KINDS = [
  'runtime',
  'development',
  'optional',
  'peer',
  'build',
  'indirect',
  'platform',
] as const;
export const dependency = z.strictObject({
  /** Path of the manifest that declares it, below the root. */
  manifest: short,
  ecosystem: z.enum(['npm', 'pypi', 'go', 'cargo', 'maven', 'rubygems', 'packagist']),
  name: short,
  /** As declared: a version, a range, or empty when the manifest names none. */
  version: short,
  /** Only where a lock file beside or above the manifest states it. */
  licence: short.optional(),
  kind: z.enum(DEPENDENCY_KINDS),
});
export type Dependency = z.infer<typeof dependency>;

export const todoPlace = z.strictObject({
  path: short,
  line: z.int().min(1),
  marker: z.enum(['TODO', 'FIXME']),
  text: short,
});
export type TodoPlace = z.infer<typeof todoPlace>;

export const commitLine = z.strictObject({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  author: short,
  committed_at: short,
  subject: short,
});
export type CommitLine = z.infer<typeof commitLine>;

export const GIT_STATES = [
  'read',
  'not_a_work_tree',
  'no_commits',
  'outside_allowed_roots',
  'git_missing',
  'failed',
] as const;
export const gitState = z.strictObject({ state: z.enum(GIT_STATES), detail: short.optional() });
export type GitState = z.infer<typeof gitState>;

const listed = <Item extends z.ZodType>(item: Item, max: number) =>
  z.strictObject({ count, first: z.array(item).max(max) });

export const licences = z.strictObject({
  /** What licence files and manifests of the project say. */
  project: listed(z.strictObject({ licence: short, source: short }), 20),
  /** Packages by licence, counted once per name and version over the lock files. */
  dependencies: listed(z.strictObject({ licence: short, packages: count }), 30),
});

export const ignoreRules = z.strictObject({
  /** Ignored wherever they stand. */
  names: z.array(short),
  /** Folders ignored only where one of `beside` stands in the same folder; `*` stands for any beginning. */
  beside: z.array(z.strictObject({ name: short, beside: z.array(short) })),
  /** A folder below the root that holds one of these is ignored, whatever its name. */
  holding: z.array(short),
});
export type IgnoreRules = z.infer<typeof ignoreRules>;

export const repositorySurveyOutput = z.strictObject({
  root: short,
  file_count: count,
  total_bytes: count,
  line_count: count,
  languages: z.array(languageFigures).max(100),
  dependency_count: count,
  dependencies: z.array(dependency).max(INLINE_DEPENDENCIES_MAX),
  manifest_problems: listed(z.strictObject({ manifest: short, problem: short }), 20),
  licences,
  largest_files: z.array(z.strictObject({ path: short, size: count })).max(LARGEST_FILES_MAX),
  todo_count: count,
  todos: z.array(todoPlace).max(TODO_PLACES_MAX),
  git: gitState,
  /** Absent unless `git.state` is `read`. */
  last_commits: z.array(commitLine).max(LAST_COMMITS_MAX).optional(),
  ignored: z.array(short),
  ignored_beside: ignoreRules.shape.beside,
  ignored_holding: ignoreRules.shape.holding,
  ignored_folders: listed(short, 20),
  skipped: z.strictObject({ symlinks: count, special: count, vanished: count }),
  unreadable: listed(z.strictObject({ path: short, kind: z.enum(['file', 'folder']), reason: short }), 20),
  manifest: artifactRef,
});
export type RepositorySurveyOutput = z.infer<typeof repositorySurveyOutput>;

/** One file of `manifest.json`. `sha256` is null when the file could not be read; `lines` is 0 for binary files. */
export const manifestEntry = z.strictObject({
  language: z.string(),
  lines: count,
  path: z.string(),
  sha256: digest.nullable(),
  size: count,
  todos: count,
});
export type ManifestEntry = z.infer<typeof manifestEntry>;

/** The artifact `manifest.json`: canonical JSON (RFC 8785), files in the byte order of their paths. */
export const surveyManifest = z.strictObject({
  dependencies: z.array(dependency),
  files: z.array(manifestEntry),
  format: z.literal('nexusmon.survey.manifest.v1'),
  ignored_folders: z.array(z.string()),
  root: z.string(),
  unreadable: z.array(z.strictObject({ kind: z.enum(['file', 'folder']), path: z.string(), reason: z.string() })),
});
export type SurveyManifest = z.infer<typeof surveyManifest>;

// report.compose

export const reportFigures = z.strictObject({
  file_count: count,
  total_bytes: count,
  line_count: count,
  language_count: count,
  dependency_count: count,
  todo_count: count,
  largest_file_bytes: count,
  last_commits_count: count,
  ignored_folder_count: count,
  unreadable_count: count,
  skipped_symlink_count: count,
});
export type ReportFigures = z.infer<typeof reportFigures>;

export const reportComposeInput = z.strictObject({ survey: repositorySurveyOutput, title: text(1, 200).optional() });
export const reportComposeOutput = z.strictObject({
  report_markdown: artifactRef,
  report_json: artifactRef,
  figures: reportFigures,
});
export type ReportComposeOutput = z.infer<typeof reportComposeOutput>;

/** The artifact `report.json`: everything `report.md` says. */
export const reportDocument = z.strictObject({
  format: z.literal('nexusmon.repository.report.v1'),
  title: z.string(),
  figures: reportFigures,
  survey: repositorySurveyOutput,
});
export type ReportDocument = z.infer<typeof reportDocument>;

// report.verify

export const DRIFT_LIST_MAX = 200;
export const driftItem = z.strictObject({
  path: short,
  change: z.enum(['changed', 'added', 'removed', 'readability', 'commits']),
});
export type DriftItem = z.infer<typeof driftItem>;

export const reportVerifyInput = z.strictObject({
  path: folder_path,
  survey: repositorySurveyOutput,
  report: reportComposeOutput,
});
export const reportVerifyOutput = z.strictObject({
  verified: z.literal(true),
  /** How much was compared: recomputed from the source for every file that has not changed since. */
  checked: z.strictObject({
    files: count,
    bytes: count,
    lines: count,
    todos: count,
    languages: count,
    largest_files: count,
    todo_places: count,
    dependencies: count,
    commits: count,
    markdown_figures: count,
  }),
  drift_count: count,
  drift: z.array(driftItem).max(DRIFT_LIST_MAX),
});
export type ReportVerifyOutput = z.infer<typeof reportVerifyOutput>;

// brief.scout, brief.build, brief.verify

const parameter = z.strictObject({ type: text(1, 64), required: z.boolean(), description: text(0, 1_000).optional() });
export const knownTemplate = z.strictObject({
  name: text(1, 128),
  description: text(0, 2_000),
  params: z.record(text(1, 64), parameter),
});
export type KnownTemplate = z.infer<typeof knownTemplate>;
export const knownWorker = z.strictObject({ name: text(1, 128), description: text(0, 2_000) });
export type KnownWorker = z.infer<typeof knownWorker>;

export const briefScoutInput = z.strictObject({
  goal: text(1, 4_000),
  params: z.record(text(1, 64), json),
  known: z.strictObject({ templates: z.array(knownTemplate).max(200), workers: z.array(knownWorker).max(500) }),
  sources: z.array(text(1, 4_096)).max(20).optional(),
});
export type BriefScoutInput = z.infer<typeof briefScoutInput>;

export const SOURCE_KINDS = [
  'goal',
  'param',
  'templates',
  'workers',
  'template',
  'worker',
  'folder',
  'file',
  'unreadable',
] as const;
export const briefSource = z.strictObject({
  source_id: z.string().regex(/^[a-z]+(:[A-Za-z0-9_.-]{1,128})?$/),
  kind: z.enum(SOURCE_KINDS),
  /** What the source says, in one sentence. */
  fact: z.string().max(2_000),
  /** A value that a proposed mission may take from this source. */
  value: json.optional(),
});
export type BriefSource = z.infer<typeof briefSource>;

export const briefScoutOutput = z.strictObject({
  goal: text(1, 4_000),
  sources: z.array(briefSource).max(100),
  matches: z
    .array(
      z.strictObject({ template: knownTemplate, source_id: briefSource.shape.source_id, words: z.array(z.string()) }),
    )
    .max(5),
});
export type BriefScoutOutput = z.infer<typeof briefScoutOutput>;

export const briefStatement = z.strictObject({
  statement: z.string().min(1).max(4_096),
  sources: z.array(briefSource.shape.source_id),
});
export type BriefStatement = z.infer<typeof briefStatement>;

/** A mission that could be created as it stands, unless `missing_params` names what it still needs. */
export const proposedMission = z.strictObject({
  statement: briefStatement.shape.statement,
  sources: briefStatement.shape.sources,
  create: z.strictObject({ goal: text(1, 4_000), template: text(1, 128), params: z.record(text(1, 64), json) }),
  missing_params: z.array(z.string()),
});
export type ProposedMission = z.infer<typeof proposedMission>;

/** The artifact `brief.json`: everything `brief.md` says. */
export const briefDocument = z.strictObject({
  format: z.literal('nexusmon.brief.v1'),
  kind: z.literal('brief'),
  fulfilled: z.literal(false),
  goal: text(1, 4_000),
  known: z.array(briefStatement).max(100),
  missing: z.array(briefStatement).max(100),
  proposals: z.array(proposedMission).max(5),
});
export type BriefDocument = z.infer<typeof briefDocument>;

export const briefBuildInput = z.strictObject({ scout: briefScoutOutput });
export const briefBuildOutput = z.strictObject({
  kind: z.literal('brief'),
  fulfilled: z.literal(false),
  brief_markdown: artifactRef,
  brief_json: artifactRef,
  known: count,
  missing: count,
  proposals: z.array(proposedMission).max(5),
});
export type BriefBuildOutput = z.infer<typeof briefBuildOutput>;

export const briefVerifyInput = z.strictObject({ scout: briefScoutOutput, build: briefBuildOutput });
export const briefVerifyOutput = z.strictObject({
  verified: z.literal(true),
  kind: z.literal('brief'),
  fulfilled: z.literal(false),
  statements: count,
  citations: count,
  sources_cited: count,
});

export type BuiltinContract = Readonly<{
  version: string;
  description: string;
  capabilities: readonly string[];
  risk_level: Rank;
  requires_approval: boolean;
  timeout_seconds: number;
  input: z.ZodType;
  output: z.ZodType;
  /** Fields of the input that name a folder to read: checked against the allowed roots when a plan is made. */
  path_fields: readonly string[];
  /** Fields of the input that name what is asked for outside. Only a worker that has any is given a way out. */
  url_fields: readonly string[];
}>;

const contract = <Input extends z.ZodType, Output extends z.ZodType>(
  capability: string,
  timeout_seconds: number,
  description: string,
  input: Input,
  output: Output,
  {
    risk_level = 'E',
    path_fields = [],
    url_fields = [],
  }: Partial<Pick<BuiltinContract, 'risk_level' | 'path_fields' | 'url_fields'>> = {},
) => ({
  version: '1.0.0',
  description,
  capabilities: [capability] as readonly string[],
  risk_level,
  requires_approval: false,
  timeout_seconds,
  input,
  output,
  path_fields,
  url_fields,
});

export const builtinContracts = {
  'system.echo': contract('echo', 30, 'Gives back the value it was given.', systemEchoInput, systemEchoOutput),
  'repository.survey': contract(
    'survey',
    900,
    'Reads a folder or git repository: files with sizes and hashes, lines by language, dependencies and licences, ' +
      'largest files, TODO and FIXME places, last commits.',
    repositorySurveyInput,
    repositorySurveyOutput,
    { risk_level: 'D', path_fields: ['path'] },
  ),
  'report.compose': contract(
    'compose',
    120,
    'Writes the report of a survey as Markdown and as JSON.',
    reportComposeInput,
    reportComposeOutput,
  ),
  'report.verify': contract(
    'verify',
    900,
    'Recomputes the figures of a report from the source by another way and fails on any difference that no changed ' +
      'file explains.',
    reportVerifyInput,
    reportVerifyOutput,
    { path_fields: ['path'] },
  ),
  'brief.scout': contract(
    'scout',
    60,
    'Gathers what the system itself knows about a goal: matching templates and workers, folders named in the parameters.',
    briefScoutInput,
    briefScoutOutput,
  ),
  'brief.build': contract(
    'build',
    60,
    'Writes a brief: what is known, what is missing, and concrete missions with their parameters filled in.',
    briefBuildInput,
    briefBuildOutput,
  ),
  'brief.verify': contract(
    'verify',
    60,
    'Checks that every statement of a brief cites a source that was gathered.',
    briefVerifyInput,
    briefVerifyOutput,
  ),
  'http.fetch': contract(
    'fetch',
    FETCH_SECONDS_MAX + FETCH_SECONDS,
    'Asks a listed host for a document (GET or HEAD) and keeps the body as an artifact.',
    httpFetchInput,
    httpFetchOutput,
    { risk_level: 'C', url_fields: ['url'] },
  ),
} as const satisfies Readonly<Record<string, BuiltinContract>>;
export type BuiltinName = keyof typeof builtinContracts;

/** Whether a worker of this name is given a way out. Workers of modules are not. */
export const reachesOut = (worker: string): boolean =>
  new Map<string, BuiltinContract>(Object.entries(builtinContracts)).get(worker)?.url_fields[0] !== undefined;
