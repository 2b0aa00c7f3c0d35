// brief.build: an honest answer to a goal that nothing installed can pursue by itself. It says what is known, what is
// missing, and which missions could be created, and cites a source for each. It fulfils nothing and says so.

import type { Json } from '@nexusmon/kernel';
import type {
  BriefDocument,
  BriefScoutOutput,
  BriefSource,
  BriefStatement,
  ProposedMission,
} from '@nexusmon/worker-contract';
import { builtinPlugin } from '../builtin-plugin.js';
import { idPart } from './brief-scout.worker.js';
import { briefMarkdown } from './brief-markdown.js';

export const briefBuild = builtinPlugin('brief.build', async ({ input: { scout } }, context) => {
  const proposals = scout.matches.map((match) => proposal(match, scout));
  const document: BriefDocument = {
    format: 'nexusmon.brief.v1',
    kind: 'brief',
    fulfilled: false,
    goal: scout.goal,
    known: known(scout),
    missing: missing(scout, proposals),
    proposals,
  };
  const put = (file: string, media_type: string, content: string) =>
    context.put_artifact(file, media_type, Buffer.from(content));
  const markdown = briefMarkdown(document, scout.sources);
  const brief_markdown = await put('brief.md', 'text/markdown; charset=utf-8', markdown);
  const brief_json = await put('brief.json', 'application/json', `${JSON.stringify(document, null, 2)}\n`);
  const counts = { known: document.known.length, missing: document.missing.length };
  return { kind: 'brief' as const, fulfilled: false as const, brief_markdown, brief_json, ...counts, proposals };
});

const known = ({ sources }: BriefScoutOutput): BriefStatement[] =>
  sources
    .filter(({ kind }) => kind !== 'goal' && kind !== 'unreadable')
    .map(({ fact, source_id }) => ({ statement: fact, sources: [source_id] }));

const missing = ({ sources, matches }: BriefScoutOutput, proposals: readonly ProposedMission[]): BriefStatement[] => {
  const found: BriefStatement[] = [
    {
      statement: 'No template was named and no model is configured, so the goal itself was not pursued.',
      sources: ['goal'],
    },
  ];
  if (matches.length === 0)
    found.push({ statement: 'No installed template shares a word with the goal.', sources: ['goal', 'templates'] });
  for (const { fact, source_id, kind } of sources)
    if (kind === 'unreadable') found.push({ statement: fact, sources: [source_id] });
  for (const { create, missing_params, sources: cited } of proposals)
    if (missing_params.length > 0)
      found.push({
        statement: `Template ${create.template} needs ${missing_params.join(', ')}, for which nothing given can be used.`,
        sources: [...cited],
      });
  return found;
};

const PATH_LIKE = /path|folder|directory|repo/i;

const isParam = ({ kind, source_id }: BriefSource, name: string) =>
  kind === 'param' && source_id.replace(/^param:\d+\./, '') === idPart(name);

/** A template with every parameter filled that a source has a value for: the parameter of that name, else a folder. */
const proposal = (
  { template, source_id }: BriefScoutOutput['matches'][number],
  { goal, sources }: BriefScoutOutput,
): ProposedMission => {
  const cited = new Set(['goal', source_id]);
  const params: Record<string, Json> = {};
  const missing_params: string[] = [];
  const folder = sources.find(({ kind }) => kind === 'folder');
  // A path that may not be read would only be refused again.
  const refused = new Set(sources.filter(({ kind }) => kind === 'unreadable').map(({ value }) => value));
  for (const [name, { type, required }] of Object.entries(template.params)) {
    const given = sources.find((one) => isParam(one, name));
    const source = given ?? (PATH_LIKE.test(name) || PATH_LIKE.test(type) ? folder : undefined);
    if (source?.value !== undefined && !refused.has(source.value)) {
      params[name] = source.value;
      cited.add(source.source_id);
    } else if (required) missing_params.push(name);
  }
  const ready = missing_params.length === 0 ? 'can be created as it stands' : 'needs more before it can be created';
  return {
    statement: `A mission with template ${template.name} ${ready}.`,
    sources: [...cited],
    create: { goal, template: template.name, params },
    missing_params,
  };
};
