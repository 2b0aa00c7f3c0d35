// Templates that come with the product, and the plan for a goal that names none. Adding a template adds a row here and
// the schema of its parameters in the contract.

import type { Json, JsonObject } from '@nexusmon/kernel';
import type { CreateBody, TemplateName, TemplateParams } from '@nexusmon/mission-contract';

/** A task before its defaults are settled. */
export type DraftTask = Readonly<{ task_id: string; worker: string; input: Json; depends_on: readonly string[] }>;

export type TemplateParameter = Readonly<{ type: string; required: boolean; description: string }>;

export type Template<Params> = Readonly<{
  description: string;
  params: { readonly [Name in keyof Params]: TemplateParameter };
  plan: (params: Params) => readonly DraftTask[];
}>;

const output = (task_id: string): Json => ({ $output: task_id });

export const templates: { readonly [Name in TemplateName]: Template<TemplateParams[Name]> } = {
  'repository-report': {
    description:
      'Surveys a folder or git repository and reports its files, languages, lines, dependencies, licences, largest ' +
      'files, TODO and FIXME places and last commits; the figures are recomputed from the source before it completes.',
    params: {
      path: {
        type: 'string',
        required: true,
        description: 'A folder or git repository under the allowed roots.',
      },
    },
    plan: ({ path }) => [
      { task_id: 'survey', worker: 'repository.survey', input: { path }, depends_on: [] },
      { task_id: 'compose', worker: 'report.compose', input: { survey: output('survey') }, depends_on: ['survey'] },
      {
        task_id: 'verify',
        worker: 'report.verify',
        input: { path, survey: output('survey'), report: output('compose') },
        depends_on: ['survey', 'compose'],
      },
    ],
  },
};

export const planOfTemplate = <Name extends TemplateName>(
  call: Readonly<{ name: Name; params: TemplateParams[Name] }>,
): readonly DraftTask[] => templates[call.name].plan(call.params);

/** What the Scout is told that the system can do. */
export type Known = Readonly<{ workers: readonly Readonly<{ name: string; description: string }>[] }>;

const SOURCES_MAX = 20;
const SOURCE_LENGTH_MAX = 4_096;

/** Sources that the operator points to in `params.sources`. */
const sourcesIn = ({ sources }: JsonObject): string[] | undefined =>
  Array.isArray(sources)
    ? sources
        .filter((source) => typeof source === 'string' && source !== '' && source.length <= SOURCE_LENGTH_MAX)
        .slice(0, SOURCES_MAX)
        .map(String)
    : undefined;

/** Scout → Builder → Verify: what is known about a goal, what is missing, and which missions could pursue it. */
export const planOfGoal = (
  { goal, params }: Pick<CreateBody, 'goal' | 'params'>,
  known: Known,
): readonly DraftTask[] => {
  const sources = sourcesIn(params);
  const known_templates = Object.entries(templates).map(([name, { description, params: wanted }]) => ({
    name,
    description,
    params: Object.fromEntries(Object.entries(wanted).map(([param, says]) => [param, { ...says }])),
  }));
  const known_workers = known.workers.map(({ name, description }) => ({ name, description }));
  const scout = { goal, params, known: { templates: known_templates, workers: known_workers } };
  return [
    {
      task_id: 'scout',
      worker: 'brief.scout',
      input: sources === undefined ? scout : { ...scout, sources },
      depends_on: [],
    },
    { task_id: 'build', worker: 'brief.build', input: { scout: output('scout') }, depends_on: ['scout'] },
    {
      task_id: 'verify',
      worker: 'brief.verify',
      input: { scout: output('scout'), build: output('build') },
      depends_on: ['scout', 'build'],
    },
  ];
};
