import type { BriefDocument, BriefSource, BriefStatement } from '@nexusmon/worker-contract';
import { markdownText } from '../markdown-text.js';

export const briefMarkdown = (document: BriefDocument, sources: readonly BriefSource[]): string =>
  [
    '# Brief',
    `Goal: ${markdownText(document.goal)}`,
    'This is a brief. The goal was not pursued; nothing below claims that it was.',
    section('What is known', document.known.map(statementLine)),
    section('What is missing', document.missing.map(statementLine)),
    section(
      'Missions that could be created',
      document.proposals.map(
        (proposed) => `${statementLine(proposed)}\n\n${indented(JSON.stringify(proposed.create, null, 2))}`,
      ),
    ),
    section(
      'Sources',
      sources.map(({ source_id, fact }) => `- ${markdownText(source_id)}: ${markdownText(fact)}`),
    ),
  ].join('\n\n') + '\n';

const section = (heading: string, lines: readonly string[]) =>
  `## ${heading}\n\n${lines.length === 0 ? 'None.' : lines.join('\n')}`;

/** Also what brief.verify looks for: the statement with the sources it cites. */
export const statementLine = ({ statement, sources }: BriefStatement) =>
  `- ${markdownText(statement)} (${sources.map(markdownText).join(', ')})`;

/** An indented block needs no fence, so no text in it can end it. */
const indented = (code: string) =>
  code
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
