// The report as a person reads it. Figures are plain digits, so that they can be searched for and compared.

import type { ReportDocument, ReportFigures, RepositorySurveyOutput } from '@nexusmon/worker-contract';
import { markdownTable, markdownText } from '../markdown-text.js';
import { FIGURE_LABELS } from './figures.js';

export const reportMarkdown = ({ title, figures, survey }: ReportDocument): string =>
  [
    `# ${markdownText(title)}`,
    `Folder: ${markdownText(survey.root)}`,
    section('Summary', summary(figures)),
    section('Languages', languages(survey)),
    section('Dependencies', dependencies(survey)),
    section('Licences', licences(survey)),
    section('Largest files', largestFiles(survey)),
    section('TODO and FIXME', todos(survey)),
    section('Last commits', commits(survey)),
    section('What was left out', leftOut(survey)),
    section('How it was counted', HOW_COUNTED),
  ].join('\n\n') + '\n';

const section = (heading: string, body: string) => `## ${heading}\n\n${body}`;

const shown = (first: number, count: number, of_what: string) =>
  first === count ? '' : `\n\n${first} of ${count} ${of_what} are shown.`;

const summary = (figures: ReportFigures) =>
  markdownTable(
    ['Figure', 'Value'],
    Object.entries(FIGURE_LABELS).map(([figure, label]) => [label, figures[figure as keyof ReportFigures]]),
  );

const languages = ({ languages: rows }: RepositorySurveyOutput) =>
  rows.length === 0
    ? 'There are no files.'
    : markdownTable(
        ['Language', 'Files', 'Bytes', 'Lines'],
        rows.map((row) => [row.language, row.files, row.bytes, row.lines]),
      );

const dependencies = (survey: RepositorySurveyOutput) => {
  const { dependencies: rows, dependency_count, manifest_problems: problems, manifest } = survey;
  const table =
    dependency_count === 0
      ? 'No manifest declares a dependency.'
      : markdownTable(
          ['Manifest', 'Ecosystem', 'Name', 'Version', 'Kind', 'Licence'],
          rows.map((row) => [
            row.manifest,
            row.ecosystem,
            row.name,
            row.version,
            row.kind,
            row.licence ?? 'not stated',
          ]),
        );
  const rest =
    rows.length === dependency_count
      ? ''
      : `\n\n${rows.length} of ${dependency_count} are shown. The whole list is in ${markdownText(manifest.name)}.`;
  if (problems.count === 0) return table + rest;
  const faulty = markdownTable(
    ['Manifest', 'Problem'],
    problems.first.map((row) => [row.manifest, row.problem]),
  );
  return `${table}${rest}\n\nManifests that could not be understood: ${problems.count}.\n\n${faulty}`;
};

const licences = ({ licences: { project, dependencies: packages } }: RepositorySurveyOutput) => {
  const own =
    project.count === 0
      ? 'No licence file and no licence field was found.'
      : markdownTable(
          ['Licence', 'Stated in'],
          project.first.map((row) => [row.licence, row.source]),
        ) + shown(project.first.length, project.count, 'statements');
  if (packages.count === 0) return own;
  const locked = markdownTable(
    ['Licence', 'Packages'],
    packages.first.map((row) => [row.licence, row.packages]),
  );
  return `${own}\n\nLicences of the packages in lock files:\n\n${locked}${shown(packages.first.length, packages.count, 'licences')}`;
};

const largestFiles = ({ largest_files: rows }: RepositorySurveyOutput) =>
  rows.length === 0
    ? 'There are no files.'
    : markdownTable(
        ['Path', 'Bytes'],
        rows.map((row) => [row.path, row.size]),
      );

const todos = ({ todo_count, todos: rows }: RepositorySurveyOutput) =>
  todo_count === 0
    ? 'There are none.'
    : markdownTable(
        ['Path', 'Line', 'Marker', 'Text'],
        rows.map((row) => [row.path, row.line, row.marker, row.text]),
      ) + shown(rows.length, todo_count, 'places');

const GIT_WORDS: Readonly<Record<RepositorySurveyOutput['git']['state'], string>> = {
  read: 'The commits were read.',
  not_a_work_tree: 'The folder is not in a git work tree.',
  no_commits: 'The repository has no commit of this folder yet.',
  outside_allowed_roots: 'The repository of this work tree lies outside the folders that may be read.',
  git_missing: 'The commits could not be read: there is no git program on this machine.',
  failed: 'The commits could not be read.',
};

const commits = ({ git, last_commits }: RepositorySurveyOutput) =>
  last_commits === undefined
    ? GIT_WORDS[git.state] + (git.detail === undefined ? '' : ` ${markdownText(git.detail)}`)
    : markdownTable(
        ['Commit', 'Committed at', 'Author', 'Subject'],
        last_commits.map((row) => [row.sha.slice(0, 12), row.committed_at, row.author, row.subject]),
      );

const leftOut = (survey: RepositorySurveyOutput) => {
  const { ignored, ignored_beside, ignored_holding, ignored_folders, skipped, unreadable } = survey;
  const beside = ignored_beside.map(({ name, beside: markers }) => [name, markers.join(', ')]);
  const parts = [
    `Ignored wherever they stand: ${ignored.map(markdownText).join(', ')}. The data folder of the system is never read.`,
    `Ignored only beside the manifest of the tool that writes there:\n\n${markdownTable(['Folder', 'Beside one of'], beside)}`,
    `Ignored when they hold: ${ignored_holding.map(markdownText).join(', ')}.`,
    `Passed over: ${skipped.symlinks} symbolic links, ${skipped.special} pipes, sockets and devices, ` +
      `${skipped.vanished} files or folders that vanished while they were read.`,
  ];
  if (ignored_folders.count > 0) {
    const places = ignored_folders.first.map((path) => `- ${markdownText(path)}`).join('\n');
    const rest = shown(ignored_folders.first.length, ignored_folders.count, 'places');
    parts.push(`Places where a folder was ignored:\n\n${places}${rest}`);
  }
  if (unreadable.count > 0) {
    const rows = unreadable.first.map((row) => [row.path, row.kind, row.reason]);
    const rest = shown(unreadable.first.length, unreadable.count, 'places');
    parts.push(`Could not be read:\n\n${markdownTable(['Path', 'What', 'Why'], rows)}${rest}`);
  }
  return parts.join('\n\n');
};

const HOW_COUNTED = [
  '- Files: every regular file below the folder after the ignores. Symbolic links are neither followed nor counted. ' +
    'A file that cannot be read counts with the size the file system tells, and no lines.',
  '- Text: no NUL byte in the first 8192 bytes, and these are valid UTF-8 or free of control characters other than ' +
    'white space. Everything else is binary and has no lines.',
  '- Lines: the number of newline characters, and one more when the last line does not end in one.',
  '- TODO and FIXME: every occurrence in a text file, in capitals, with no letter, digit or underscore on either ' +
    'side. Two on one line count as two.',
  '- Languages: by file name, else by the interpreter that the first line names.',
  '- Dependencies: as declared in package.json, requirements files, pyproject.toml, go.mod, Cargo.toml, pom.xml, Gemfile ' +
    'and composer.json. A licence of a dependency is what package-lock.json states. Nothing is looked up.',
  '- Paths: a backslash is written as two, and a byte that is not UTF-8 by its hexadecimal value.',
].join('\n');
