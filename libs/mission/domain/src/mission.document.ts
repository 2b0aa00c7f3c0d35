// A mission as its readers see it: the same document for the answer to a command and for a read of the view.

import type { Json } from '@nexusmon/kernel';
import type { EnclosureStatus, MissionDocument, TaskDocument, TaskStatus } from '@nexusmon/mission-contract';
import { taskStatuses, type ExistingMission, type TaskState } from './mission.state.js';

type Optional<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** The fields that have a value: what is not there yet is absent, not null. */
const present = <Fields extends object>(fields: Fields): Optional<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Optional<Fields>;

/** `enclosure_status`: what became of the enclosure, where the mission has one. Nothing opens it in a list. */
export const toDocument = (state: ExistingMission, enclosure_status: EnclosureStatus = 'left_out'): MissionDocument => {
  const { request, plan, tasks, verdict } = state;
  const { mission_id } = request;
  const statuses = taskStatuses(state);
  const self = `/v1/engine/missions/${mission_id}`;
  return {
    mission_id,
    goal: request.goal,
    category: request.category,
    rank: plan.rank,
    effective_rank: plan.effective_rank,
    status: state.status,
    plan_source: plan.plan_source,
    plan_digest: plan.plan_digest,
    tasks: tasks.map((task) => taskDocument(task, statuses.get(task.plan.task_id) ?? task.progress.status)),
    constraints: request.constraints,
    hold: state.held,
    priority: request.priority,
    tags: request.tags,
    created_at: state.created_at,
    requested_by: request.requested_by,
    links: { self, events: `${self}/events`, artifacts: `/v1/vault/artifacts?mission_id=${mission_id}` },
    ...present({
      params: request.params,
      enclosure: request.enclosure && { ...request.enclosure, status: enclosure_status },
      template: request.template,
      parent_mission_id: request.parent_mission_id,
      decision: verdict && decision(verdict, state),
      started_at: state.started_at,
      ended_at: state.ended_at,
      result: state.result && { ...state.result, ...present({ output: finalOutput(tasks) }) },
      error: state.failure,
      reason: state.reason,
    }),
  };
};

type Claims = NonNullable<ExistingMission['verdict']>;

const decision = (claims: Claims, { approval }: ExistingMission): MissionDocument['decision'] => {
  const judged = { ...claims, gate_outcome: claims.outcome };
  if (!approval) return judged;
  const { approval_id } = approval;
  switch (approval.status) {
    case 'pending':
      return { ...judged, approval_id };
    case 'granted':
      return { ...judged, approval_id, outcome_of_approval: 'granted', granted_by: approval.granted_by };
    case 'refused':
      return { ...judged, approval_id, outcome: approval.outcome, outcome_of_approval: approval.outcome };
  }
};

const taskDocument = ({ plan, progress, ...task }: TaskState, status: TaskStatus): TaskDocument => {
  const { task_id, worker, risk_level, requires_approval, input, depends_on, timeout_seconds } = plan;
  return {
    task_id,
    worker,
    status,
    attempt: task.attempt,
    tries: task.tries,
    risk_level,
    requires_approval,
    depends_on,
    timeout_seconds,
    artifacts: progress.status === 'completed' ? [...progress.artifacts] : [],
    ...present({
      input,
      output: progress.status === 'completed' ? progress.output : undefined,
      output_ref: progress.status === 'completed' ? progress.output_ref : undefined,
      approval_id: task.approval?.approval_id,
      retry_at: progress.status === 'backing_off' ? progress.retry_at : undefined,
      started_at: task.started_at,
      ended_at: 'ended_at' in progress ? progress.ended_at : undefined,
      // What went wrong on the way does not describe a task that came through.
      error: progress.status === 'completed' ? undefined : task.error,
    }),
  };
};

/**
 * What the plan was for: the output of the working task that no other working task builds on, or those of several by
 * task. Tasks that verify only say whether to believe it; they count where there is nothing else.
 */
const finalOutput = (tasks: readonly TaskState[]): Json | undefined => {
  const working = tasks.filter(({ plan }) => !plan.verifies);
  const candidates = working.length > 0 ? working : tasks;
  const used = new Set(candidates.flatMap(({ plan }) => plan.depends_on));
  const last = candidates.filter(({ plan }) => !used.has(plan.task_id));
  const outputs = last.flatMap(({ plan, progress }) =>
    progress.status === 'completed' ? [[plan.task_id, progress.output] as const] : [],
  );
  const [only, another] = outputs;
  return another === undefined ? only?.[1] : Object.fromEntries(outputs);
};
