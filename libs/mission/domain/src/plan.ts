// Plan
//
// From what was asked to tasks with every default settled, or to the paths of what is wrong with it.
//
//   P1. Every task names an installed worker; its risk is never below that worker's, nor its gate more open.
//   P2. The tasks form a directed acyclic graph over unique names.
//   P3. A task refers only to outputs of tasks that it depends on, directly or through others.
//   P4. The effective rank is the highest of the rank asked for and every task's risk.
//   P5. There are never more tasks than `constraints.max_steps` allows.

import {
  DEFAULT_RETRY,
  type CreateBody,
  type PlannedTask,
  type PlanTask,
  type TemplateCall,
} from '@nexusmon/mission-contract';
import type { FieldError, Rank } from '@nexusmon/shared-contract';
import type { WorkerManifest } from '@nexusmon/worker-contract';
import { references } from './input.js';
import { highestRank } from './rank.js';
import { planOfGoal, planOfTemplate, type DraftTask } from './templates.js';

/** What planning needs to know of a worker. */
export type WorkerFacts = Pick<
  WorkerManifest,
  | 'name'
  | 'version'
  | 'digest'
  | 'description'
  | 'capabilities'
  | 'risk_level'
  | 'requires_approval'
  | 'timeout_seconds'
>;

/** `template` is the body's template with its parameters accepted by their schema. */
export type PlanRequest = Readonly<{
  body: Pick<CreateBody, 'goal' | 'params' | 'rank' | 'constraints' | 'plan'>;
  template?: TemplateCall;
}>;

export type PlanSource = 'request' | 'template' | 'planner';

export type Planned = Readonly<{
  kind: 'planned';
  plan_source: PlanSource;
  tasks: PlannedTask[];
  rank: Rank;
  effective_rank: Rank;
}>;
export type PlanRefusal = Readonly<{ kind: 'refused'; errors: FieldError[] }>;

/** A worker with this capability checks the work of others. */
const VERIFY = 'verify';

type Draft = DraftTask & Partial<Pick<PlanTask, 'retry' | 'timeout_seconds' | 'risk_level' | 'requires_approval'>>;

export const planMission = (request: PlanRequest, workers: readonly WorkerFacts[]): Planned | PlanRefusal => {
  const { rank: asked, constraints } = request.body;
  const { plan_source, drafts } = draftsOf(request, workers);
  const max_steps = constraints.max_steps ?? Infinity;
  if (drafts.length > max_steps) {
    const path = plan_source === 'request' ? 'plan/tasks' : 'constraints/max_steps';
    return { kind: 'refused', errors: [{ path, message: `${drafts.length} tasks, but max_steps is ${max_steps}` }] };
  }

  const facts = new Map(workers.map((worker) => [worker.name, worker]));
  const errors = drafts.flatMap((draft, index) => errorsOf(draft, index, drafts, facts));
  if (errors.length === 0) errors.push(...cycleErrors(drafts));
  if (errors.length === 0) errors.push(...referenceErrors(drafts));
  if (errors.length > 0) return { kind: 'refused', errors: errors.map((error) => placed(error, plan_source)) };

  const tasks = drafts.flatMap((draft) => {
    const worker = facts.get(draft.worker);
    return worker ? [settled(draft, worker)] : [];
  });
  const own = highestRank(tasks.map(({ risk_level }) => risk_level));
  const rank = asked ?? own;
  return { kind: 'planned', plan_source, tasks, rank, effective_rank: highestRank([rank, own]) };
};

const draftsOf = (
  { body, template }: PlanRequest,
  workers: readonly WorkerFacts[],
): Readonly<{ plan_source: PlanSource; drafts: readonly Draft[] }> => {
  if (body.plan) return { plan_source: 'request', drafts: body.plan.tasks.map(withoutUndefined) };
  if (template) return { plan_source: 'template', drafts: planOfTemplate(template) };
  return { plan_source: 'planner', drafts: planOfGoal(body, { workers }) };
};

/** zod leaves optional fields as they come; a field that is there and undefined would change the plan's digest. */
const withoutUndefined = ({ retry, timeout_seconds, risk_level, ...task }: PlanTask): Draft => ({
  ...task,
  ...(retry && { retry }),
  ...(timeout_seconds !== undefined && { timeout_seconds }),
  ...(risk_level && { risk_level }),
});

/** An operator who wrote no plan has no use for a path inside it. */
const placed = ({ path, message }: FieldError, plan_source: PlanSource): FieldError => {
  if (plan_source === 'request') return { path, message };
  return { path: plan_source === 'template' ? 'template' : 'goal', message: `${path}: ${message}` };
};

const errorsOf = (
  { task_id, worker, depends_on }: Draft,
  index: number,
  drafts: readonly Draft[],
  facts: ReadonlyMap<string, WorkerFacts>,
): FieldError[] => {
  const path = `plan/tasks/${index}`;
  const errors: FieldError[] = [];
  const first = drafts.findIndex((other) => other.task_id === task_id);
  if (first !== index) errors.push({ path: `${path}/task_id`, message: `task ${first} is called ${task_id} already` });
  if (!facts.has(worker)) errors.push({ path: `${path}/worker`, message: `no worker ${worker} is installed` });
  depends_on.forEach((needed, place) => {
    if (!drafts.some((other) => other.task_id === needed))
      errors.push({ path: `${path}/depends_on/${place}`, message: `there is no task ${needed}` });
  });
  return errors;
};

const cycleErrors = (drafts: readonly Draft[]): FieldError[] => {
  const cycle = findCycle(drafts);
  if (!cycle) return [];
  const index = drafts.findIndex(({ task_id }) => task_id === cycle[0]);
  return [{ path: `plan/tasks/${index}/depends_on`, message: `cycle: ${cycle.join(' → ')}` }];
};

/** The tasks of one cycle, its first repeated at the end, each depending on the next; undefined when there is none. */
const findCycle = (drafts: readonly Draft[]): readonly string[] | undefined => {
  const open = new Map(drafts.map(({ task_id, depends_on }) => [task_id, depends_on]));
  for (let finished = true; finished;) {
    finished = false;
    for (const [task_id, depends_on] of open) {
      if (depends_on.some((needed) => open.has(needed))) continue;
      open.delete(task_id);
      finished = true;
    }
  }
  // Every task that is left waits for another one that is left, so that walking on must come round.
  const walked: string[] = [];
  for (let [at] = open.keys(); at !== undefined; at = open.get(at)?.find((needed) => open.has(needed))) {
    if (walked.includes(at)) return [...walked.slice(walked.indexOf(at)), at];
    walked.push(at);
  }
  return undefined;
};

const referenceErrors = (drafts: readonly Draft[]): FieldError[] => {
  const before = ancestors(drafts);
  return drafts.flatMap(({ task_id, input }, index) =>
    references(input).flatMap((reference) => {
      const path = `plan/tasks/${index}/input${reference.path}`;
      if ('malformed' in reference) return [{ path, message: reference.message }];
      if (before.get(task_id)?.has(reference.task_id)) return [];
      return [{ path, message: `refers to ${reference.task_id}, which ${task_id} does not depend on` }];
    }),
  );
};

/** For every task, all tasks that it depends on, directly or through others. Expects no cycle. */
const ancestors = (drafts: readonly Draft[]): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, ReadonlySet<string>>();
  const direct = new Map(drafts.map(({ task_id, depends_on }) => [task_id, depends_on]));
  const collect = (task_id: string): ReadonlySet<string> => {
    const known = found.get(task_id);
    if (known) return known;
    const needed = direct.get(task_id) ?? [];
    const all = new Set(needed.flatMap((earlier) => [earlier, ...collect(earlier)]));
    found.set(task_id, all);
    return all;
  };
  direct.forEach((_, task_id) => collect(task_id));
  return found;
};

const settled = ({ task_id, worker: name, input, depends_on, ...draft }: Draft, worker: WorkerFacts): PlannedTask => ({
  task_id,
  worker: name,
  worker_version: worker.version,
  worker_digest: worker.digest,
  input,
  depends_on: [...new Set(depends_on)],
  retry: { ...DEFAULT_RETRY, ...draft.retry },
  timeout_seconds: draft.timeout_seconds ?? worker.timeout_seconds,
  risk_level: highestRank([draft.risk_level ?? 'E', worker.risk_level]),
  requires_approval: worker.requires_approval || draft.requires_approval === true,
  verifies: worker.capabilities.includes(VERIFY),
});
