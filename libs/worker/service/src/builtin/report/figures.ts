import type { ReportFigures, RepositorySurveyOutput } from '@nexusmon/worker-contract';

/** The figures a report states, with the words it states them under, in order. */
export const FIGURE_LABELS: Readonly<Record<keyof ReportFigures, string>> = {
  file_count: 'Files',
  total_bytes: 'Bytes',
  line_count: 'Lines of text',
  language_count: 'Languages',
  dependency_count: 'Declared dependencies',
  todo_count: 'TODO and FIXME',
  largest_file_bytes: 'Bytes of the largest file',
  last_commits_count: 'Last commits shown',
  ignored_folder_count: 'Folders ignored',
  unreadable_count: 'Unreadable files and folders',
  skipped_symlink_count: 'Symbolic links passed over',
};

export const figuresOf = (survey: RepositorySurveyOutput): ReportFigures => ({
  file_count: survey.file_count,
  total_bytes: survey.total_bytes,
  line_count: survey.line_count,
  language_count: survey.languages.length,
  dependency_count: survey.dependency_count,
  todo_count: survey.todo_count,
  largest_file_bytes: survey.largest_files[0]?.size ?? 0,
  last_commits_count: survey.last_commits?.length ?? 0,
  ignored_folder_count: survey.ignored_folders.count,
  unreadable_count: survey.unreadable.count,
  skipped_symlink_count: survey.skipped.symlinks,
});
