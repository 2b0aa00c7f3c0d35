// report.compose: a survey as a report, for people (Markdown) and programs (JSON). Both come from one document, so that
// neither can say what the other does not.

import type { ReportDocument } from '@nexusmon/worker-contract';
import { builtinPlugin } from '../builtin-plugin.js';
import { figuresOf } from './figures.js';
import { reportMarkdown } from './report-markdown.js';

export const reportCompose = builtinPlugin('report.compose', async ({ input: { survey, title } }, context) => {
  const figures = figuresOf(survey);
  const name = survey.root.slice(survey.root.lastIndexOf('/') + 1);
  const document: ReportDocument = {
    format: 'nexusmon.repository.report.v1',
    title: title ?? `Repository report: ${name === '' ? survey.root : name}`,
    figures,
    survey,
  };
  const put = (file: string, media_type: string, content: string) =>
    context.put_artifact(file, media_type, Buffer.from(content));
  const report_markdown = await put('report.md', 'text/markdown; charset=utf-8', reportMarkdown(document));
  const report_json = await put('report.json', 'application/json', `${JSON.stringify(document, null, 2)}\n`);
  return { report_markdown, report_json, figures };
});
