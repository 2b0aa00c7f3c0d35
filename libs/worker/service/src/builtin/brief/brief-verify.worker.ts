// brief.verify: every statement cites a source, and every source cited is one that was gathered.

import { isDeepStrictEqual } from 'node:util';
import { briefDocument } from '@nexusmon/worker-contract';
import type { BriefDocument, BriefScoutOutput } from '@nexusmon/worker-contract';
import { WorkerFault } from '../../worker-plugin.js';
import { artifactDocument, artifactText } from '../artifact-text.js';
import { builtinPlugin } from '../builtin-plugin.js';
import { Differences } from '../report/differences.js';
import { statementLine } from './brief-markdown.js';

export const briefVerify = builtinPlugin('brief.verify', async ({ input: { scout, build } }, context) => {
  const problems = new Differences();
  const document = await artifactDocument(build.brief_json, briefDocument, context);
  const markdown = new Set((await artifactText(build.brief_markdown, context)).split('\n'));
  const statements = [...document.known, ...document.missing, ...document.proposals];
  const gathered = new Set(scout.sources.map(({ source_id }) => source_id));
  const cited = new Set<string>();
  let citations = 0;
  for (const stated of statements) {
    const { statement, sources } = stated;
    if (sources.length === 0) problems.note(`cites nothing: ${statement}`);
    for (const source_id of sources) {
      citations += 1;
      cited.add(source_id);
      if (!gathered.has(source_id)) problems.note(`cites ${source_id}, which was not gathered: ${statement}`);
    }
    if (!markdown.has(statementLine(stated))) problems.note(`brief.md does not say: ${statement}`);
  }
  problems.compare('goal', document.goal, scout.goal);
  if (!isDeepStrictEqual(document.proposals, build.proposals)) problems.note('brief.json proposes other missions');
  checkValues(document, scout, problems);
  if (problems.summary !== undefined) throw new WorkerFault(`the brief does not hold: ${problems.summary}`, false);
  return {
    verified: true as const,
    kind: 'brief' as const,
    fulfilled: false as const,
    statements: statements.length,
    citations,
    sources_cited: cited.size,
  };
});

/** A parameter of a proposed mission is the value of a source that the proposal cites. */
const checkValues = ({ proposals }: BriefDocument, { sources }: BriefScoutOutput, problems: Differences) => {
  for (const { create, sources: cited } of proposals)
    for (const [name, value] of Object.entries(create.params)) {
      const found = sources.some(
        (source) => cited.includes(source.source_id) && isDeepStrictEqual(source.value, value),
      );
      if (!found) problems.note(`${name} of ${create.template} comes from no source it cites`);
    }
};
