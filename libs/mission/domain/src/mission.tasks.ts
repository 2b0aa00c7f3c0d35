// How the tasks of a mission start (M3, M4) and what they wait for.

import { accept, nothing, reject } from '@nexusmon/kernel';
import type { PermitClaims } from '@nexusmon/worker-contract';
import { isDerived } from './enclosing.js';
import type { CommandOf, MissionDecision, MissionRejection } from './mission.commands.js';
import type { LaterEvent } from './mission.evolve.js';
import {
  onlyVerifyingLeft,
  rankOfTask,
  statusOf,
  taskOf,
  type ExistingMission,
  type TaskState,
} from './mission.state.js';
import { isBelow, needsGrant } from './rank.js';

export const claimTask = ({ actor, time, data }: CommandOf<'ClaimTask'>, state: ExistingMission): MissionDecision => {
  const { task_id, runner_id, permit } = data;
  const { attempt, approval_id, expires_at } = permit.claims;
  const task = taskOf(state, task_id);
  const running = task?.progress.status === 'running' && task.progress.runner_id === runner_id;
  if (running && task.attempt === attempt) return nothing;

  const found = startable(state, task_id);
  if ('code' in found) return reject(found);
  const field = permitMismatch(permit.claims, found, state);
  if (field) return reject({ code: 'permit-mismatch', field });
  if (time >= expires_at) return reject({ code: 'permit-expired', expires_at });
  const grants = acceptableGrants(state, found);
  if (grants && !(approval_id !== undefined && grants.includes(approval_id)))
    return reject({ code: 'grant-required', task_id, rank: rankOfTask(state, found) });

  return accept(...starting(state, actor, time), { type: 'TaskClaimed', actor, time, data: { ...data, attempt } });
};

/** The first claim starts the mission. */
const starting = (state: ExistingMission, actor: string, time: string): readonly LaterEvent[] => {
  if (state.status !== 'queued') return [];
  const started: LaterEvent = { type: 'MissionStarted', actor, time, data: {} };
  return onlyVerifyingLeft(state) ? [started, { type: 'MissionVerifying', actor, time, data: {} }] : [started];
};

/** The task, when it can be claimed now; else why it cannot. */
export const startable = (state: ExistingMission, task_id: string): TaskState | MissionRejection => {
  const task = taskOf(state, task_id);
  if (!task) return { code: 'task-not-found', task_id };
  const status = statusOf(state, task);
  return status === 'ready' ? task : { code: 'task-not-ready', task_id, status };
};

/** The field by which a permit is for something else. */
const permitMismatch = (claims: PermitClaims, task: TaskState, state: ExistingMission): string | undefined => {
  if (claims.mission_id !== state.request.mission_id) return 'mission_id';
  if (claims.task_id !== task.plan.task_id) return 'task_id';
  if (claims.attempt !== task.attempt + 1) return 'attempt';
  if (claims.plan_digest !== state.plan.plan_digest) return 'plan_digest';
  return isBelow(claims.rank, rankOfTask(state, task)) ? 'rank' : undefined;
};

/**
 * The recorded grants of which a permit for this task must name one (M4); undefined when it needs none. An empty list
 * says that a grant is missing.
 */
export const acceptableGrants = (state: ExistingMission, task: TaskState): readonly string[] | undefined => {
  const { plan, approval } = task;
  const own = approval?.granted_by === undefined ? [] : [approval.approval_id];
  if (!needsGrant(rankOfTask(state, task))) return plan.requires_approval ? own : undefined;
  if (state.approval?.status !== 'granted') return [];
  const unseen = isDerived(plan) && !state.approval.shape;
  return plan.requires_approval || unseen ? own : [state.approval.approval_id, ...own];
};

export const gateTask = ({ actor, time, data }: CommandOf<'GateTask'>, state: ExistingMission): MissionDecision => {
  const task = taskOf(state, data.task_id);
  if (task?.progress.status === 'awaiting_approval' && task.approval?.approval_id === data.approval_id) return nothing;
  const found = startable(state, data.task_id);
  if ('code' in found) return reject(found);
  return accept({ type: 'TaskGated', actor, time, data: { ...data, attempt: found.attempt + 1 } });
};

export const refuseTask = ({ actor, time, data }: CommandOf<'RefuseTask'>, state: ExistingMission): MissionDecision => {
  const found = startable(state, data.task_id);
  if ('code' in found) return reject(found);
  return accept({ type: 'MissionFailed', actor, time, data: { failure: data } });
};
