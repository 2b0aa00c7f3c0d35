// report.verify: is what the report says true of the source?
//
//   V1. Every total is recomputed from the source for every file that has not changed since the survey.
//   V2. A difference that no changed file explains fails the mission; another attempt would find the same.
//   V3. What changed since is told as drift, and is no failure.

import { isDeepStrictEqual } from 'node:util';
import { DRIFT_LIST_MAX, reportDocument, surveyManifest } from '@nexusmon/worker-contract';
import type { DriftItem, RepositorySurveyOutput, SurveyManifest } from '@nexusmon/worker-contract';
import { WorkerFault } from '../../worker-plugin.js';
import type { WorkerContext } from '../../worker-plugin.js';
import { artifactDocument, artifactText } from '../artifact-text.js';
import { builtinPlugin } from '../builtin-plugin.js';
import type { InputOf } from '../builtin-plugin.js';
import { fitting } from '../survey/fitting.js';
import { folderOf } from '../survey/repository-survey.worker.js';
import { pathBytes } from '../survey/path-text.js';
import { Differences } from './differences.js';
import { figuresOf } from './figures.js';
import { compareWithSource } from './source-comparison.js';
import type { Comparison, LanguageTotals } from './source-comparison.js';
import { checkCommits, checkDependencies, checkLargestFiles, checkMarkdown, checkPlaces } from './statement-checks.js';

const DRIFT_BYTES_MAX = 24 * 1024;

export const reportVerify = builtinPlugin('report.verify', async ({ input }, context) => {
  const { root, allowed_root } = await folderOf(input.path, context);
  if (root !== input.survey.root) throw new WorkerFault(`the report is of ${input.survey.root}, not of ${root}`, false);
  const differences = new Differences();
  const manifest = await artifactDocument(input.survey.manifest, surveyManifest, context);
  checkOrder(manifest, differences);
  const survey = await statedSurvey(input, differences, context);
  const comparison = await compareWithSource(root, manifest, differences, context);
  compareTotals(survey, manifest, comparison, differences);
  const markdown = await artifactText(input.report.report_markdown, context);
  const { allowed_roots, forbidden_roots, signal } = context;
  const reach = { root, allowed_root, allowed_roots, forbidden_roots, signal };
  const commits = survey.last_commits
    ? await checkCommits(survey.last_commits, reach, differences)
    : { checked: 0, moved: false };
  const checked = {
    ...comparison.recomputed,
    languages: survey.languages.length,
    largest_files: checkLargestFiles(survey.largest_files, manifest, differences),
    todo_places: checkPlaces(survey.todos, manifest, comparison, differences),
    dependencies: await checkDependencies(root, survey.dependencies, manifest, comparison, differences),
    commits: commits.checked,
    markdown_figures: checkMarkdown(markdown, input.report.figures, differences),
  };
  if (differences.summary !== undefined)
    throw new WorkerFault(`the report differs from the source: ${differences.summary}`, false);
  const moved: DriftItem[] = commits.moved ? [{ path: '.git', change: 'commits' }] : [];
  const drift = [...moved, ...comparison.drift];
  return {
    verified: true as const,
    checked,
    drift_count: drift.length,
    drift: fitting(drift, DRIFT_LIST_MAX, DRIFT_BYTES_MAX),
  };
});

/** The survey as report.json has it, compared with the one given, and its figures wherever they are stated. */
const statedSurvey = async (
  { survey, report }: InputOf<'report.verify'>,
  differences: Differences,
  context: WorkerContext,
): Promise<RepositorySurveyOutput> => {
  const document = await artifactDocument(report.report_json, reportDocument, context);
  if (!isDeepStrictEqual(document.survey, survey))
    differences.note('report.json: holds another survey than the one given');
  const derived = figuresOf(survey);
  for (const figure of Object.keys(derived) as (keyof typeof derived)[]) {
    differences.compare(`${figure} in report.json`, document.figures[figure], derived[figure]);
    differences.compare(`${figure} of the report`, report.figures[figure], derived[figure]);
  }
  return document.survey;
};

const compareTotals = (
  survey: RepositorySurveyOutput,
  manifest: SurveyManifest,
  { totals }: Comparison,
  differences: Differences,
) => {
  differences.compare('file_count', survey.file_count, totals.files);
  differences.compare('total_bytes', survey.total_bytes, totals.bytes);
  differences.compare('line_count', survey.line_count, totals.lines);
  differences.compare('todo_count', survey.todo_count, totals.todos);
  differences.compare('dependency_count', survey.dependency_count, manifest.dependencies.length);
  differences.compare('ignored_folder_count', survey.ignored_folders.count, manifest.ignored_folders.length);
  differences.compare('unreadable_count', survey.unreadable.count, manifest.unreadable.length);
  compareLanguages(survey, totals.languages, differences);
};

const compareLanguages = (survey: RepositorySurveyOutput, counted: LanguageTotals, differences: Differences) => {
  differences.compare('language_count', survey.languages.length, counted.size);
  for (const { language, files, bytes, lines } of survey.languages) {
    const row = counted.get(language) ?? { files: 0, bytes: 0, lines: 0 };
    differences.compare(`files in ${language}`, files, row.files);
    differences.compare(`bytes in ${language}`, bytes, row.bytes);
    differences.compare(`lines in ${language}`, lines, row.lines);
  }
};

/** A path named twice would count twice on both sides and be noticed by neither. */
const checkOrder = ({ files }: SurveyManifest, differences: Differences) => {
  let previous: Buffer | undefined;
  for (const { path } of files) {
    const bytes = pathBytes(path);
    if (previous && Buffer.compare(previous, bytes) >= 0) differences.note(`manifest.json: ${path} is out of order`);
    previous = bytes;
  }
};
