// brief.scout: what the system itself knows about a goal. Nothing is inferred from the goal but which words it shares
// with what is installed.
//
//   B1. Every fact is a source of its own with an id, so that a statement can cite it.
//   B2. A folder that may not be read is a fact as well: that it was named, and why nothing is known of it.

import { opendir, realpath } from 'node:fs/promises';
import { resolveAllowed } from '@nexusmon/worker-contract';
import type { BriefScoutInput, BriefScoutOutput, BriefSource, KnownTemplate } from '@nexusmon/worker-contract';
import type { WorkerContext } from '../../worker-plugin.js';
import { builtinPlugin } from '../builtin-plugin.js';
import { inRealFolder, openReal } from '../real-files.js';
import { faultCode, isGone, isUnreadable } from '../survey/file-faults.js';
import { oneLine } from '../survey/path-text.js';
import { goalWords } from './goal-words.js';

const MATCHES_MAX = 5;
const WORKERS_MAX = 5;
const PARAMS_MAX = 20;
const PATHS_MAX = 8;
const ENTRIES_MAX = 10_000;
const FACT_CHARACTERS = 300;
/** A longer value is told but proposed to no mission. */
const VALUE_CHARACTERS = 1_024;

export const briefScout = builtinPlugin('brief.scout', async ({ input }, context): Promise<BriefScoutOutput> => {
  const words = goalWords(input.goal);
  const matches = matchingTemplates(input, words);
  const sources: BriefSource[] = [
    { source_id: 'goal', kind: 'goal', fact: `The goal has ${words.length} telling words.` },
    ...paramSources(input),
    ...(await pathSources(input, context)),
    templatesSource(input),
    ...matches.map(({ template, source_id, words: shared }) => ({
      source_id,
      kind: 'template' as const,
      fact: fact(
        `Template ${template.name} shares ${shared.length} words with the goal (${shared.join(', ')}): ${template.description}`,
      ),
    })),
    ...workerSources(input, words),
  ];
  return { goal: input.goal, sources, matches };
});

const fact = (text: string) => oneLine(text, FACT_CHARACTERS);

/** A name as it stands in a source id. */
export const idPart = (name: string) => name.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 100);

const paramSources = ({ params }: BriefScoutInput): BriefSource[] =>
  Object.entries(params)
    .slice(0, PARAMS_MAX)
    .map(([name, value], index) => ({
      source_id: `param:${index + 1}.${idPart(name)}`,
      kind: 'param',
      fact: fact(`The parameter ${name} was given as ${JSON.stringify(value)}.`),
      ...(JSON.stringify(value).length <= VALUE_CHARACTERS && { value }),
    }));

const templatesSource = ({ known: { templates } }: BriefScoutInput): BriefSource => ({
  source_id: 'templates',
  kind: 'templates',
  fact: fact(
    templates.length === 0
      ? 'No template is installed.'
      : `${templates.length} templates are installed: ${templates.map(({ name }) => name).join(', ')}.`,
  ),
});

/** Templates by how many of the goal's words their name, description and parameters hold; a tie goes by name. */
const matchingTemplates = ({ known }: BriefScoutInput, words: readonly string[]): BriefScoutOutput['matches'] =>
  known.templates
    .map((template) => ({ template, shared: sharedWords(words, templateText(template)) }))
    .filter(({ shared }) => shared.length > 0)
    .sort((a, b) => b.shared.length - a.shared.length || (a.template.name < b.template.name ? -1 : 1))
    .slice(0, MATCHES_MAX)
    .map(({ template, shared }) => ({
      template: shortened(template),
      source_id: `template:${idPart(template.name)}`,
      words: shared,
    }));

const shortened = ({ name, description, params }: KnownTemplate): KnownTemplate => ({
  name,
  description: fact(description),
  params: Object.fromEntries(Object.entries(params).map(([param, { type, required }]) => [param, { type, required }])),
});

const templateText = ({ name, description, params }: KnownTemplate) =>
  `${name} ${description} ${Object.keys(params).join(' ')}`;

const sharedWords = (words: readonly string[], text: string) => {
  const held = new Set(goalWords(text));
  return words.filter((word) => held.has(word));
};

const workerSources = ({ known: { workers } }: BriefScoutInput, words: readonly string[]): BriefSource[] => [
  { source_id: 'workers', kind: 'workers', fact: `${workers.length} workers are installed.` },
  ...workers
    .map((worker) => ({ worker, shared: sharedWords(words, `${worker.name} ${worker.description}`) }))
    .filter(({ shared }) => shared.length > 0)
    .sort((a, b) => b.shared.length - a.shared.length || (a.worker.name < b.worker.name ? -1 : 1))
    .slice(0, WORKERS_MAX)
    .map(({ worker, shared }) => ({
      source_id: `worker:${idPart(worker.name)}`,
      kind: 'worker' as const,
      fact: fact(`Worker ${worker.name} shares the words ${shared.join(', ')} with the goal: ${worker.description}`),
    })),
];

const PATH_PARAMS = /^(path|folder|dir|directory|repo|repository|source|root)$/i;

/** What was given as a source, or as a parameter that reads like a path. */
const pathSources = async ({ params, sources }: BriefScoutInput, context: WorkerContext) => {
  const named = Object.entries(params).flatMap(([name, value]) =>
    typeof value === 'string' && (value.startsWith('/') || PATH_PARAMS.test(name)) ? [value] : [],
  );
  const paths = [...new Set([...(sources ?? []), ...named])].slice(0, PATHS_MAX);
  const found: BriefSource[] = [];
  for (const [index, path] of paths.entries()) {
    context.signal.throwIfAborted();
    found.push(await pathSource(path, index + 1, context));
  }
  return found;
};

const pathSource = async (path: string, number: number, context: WorkerContext): Promise<BriefSource> => {
  const shown = JSON.stringify(path);
  const unreadable = (why: string): BriefSource => ({
    source_id: `unreadable:${number}`,
    kind: 'unreadable',
    fact: fact(`${shown} was named but not read: ${why}.`),
    value: path,
  });
  const judged = await resolveAllowed(path, context.allowed_roots, context.forbidden_roots, (one) => realpath(one));
  if (!judged.allowed) return unreadable(judged.message);
  try {
    const real = Buffer.from(judged.path);
    const about = await kindOf(real);
    if (about.is_file)
      return {
        source_id: `file:${number}`,
        kind: 'file',
        fact: fact(`${shown} is a file of ${about.size} bytes.`),
        value: path,
      };
    if (!about.is_folder) return unreadable('it is neither a file nor a folder');
    const { files, folders, more, is_repository } = await inRealFolder(real, entriesOf);
    const counted = `${more ? 'at least ' : ''}${files} files and ${folders} folders directly in it`;
    const kind = is_repository ? 'a git repository' : 'a folder';
    return {
      source_id: `folder:${number}`,
      kind: 'folder',
      fact: fact(`${shown} is ${kind} with ${counted}.`),
      value: path,
    };
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code) || isUnreadable(code)) return unreadable(`the system answered ${code}`);
    throw error;
  }
};

const kindOf = async (path: Buffer) => {
  await using handle = await openReal(path);
  const stat = await handle.stat();
  return { is_file: stat.isFile(), is_folder: stat.isDirectory(), size: stat.size };
};

const entriesOf = async (folder: Buffer) => {
  const found = { files: 0, folders: 0, more: false, is_repository: false };
  for await (const entry of await opendir(folder)) {
    if (entry.name === '.git') found.is_repository = true;
    else if (entry.isDirectory()) found.folders += 1;
    else if (entry.isFile()) found.files += 1;
    if (found.files + found.folders >= ENTRIES_MAX) return { ...found, more: true };
  }
  return found;
};
