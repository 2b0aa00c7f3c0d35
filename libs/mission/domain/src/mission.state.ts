// What a mission's past amounts to. The state is plain JSON: it rides in the log and lies in the view.

import type { MissionEvent, MissionFailure, MissionResult, TaskStatus } from '@nexusmon/mission-contract';
import type { Json } from '@nexusmon/kernel';
import type { Rank } from '@nexusmon/shared-contract';
import type { ArtifactRef } from '@nexusmon/worker-contract';
import { highestRank } from './rank.js';

export type EventData<Type extends MissionEvent['type']> = Extract<MissionEvent, { type: Type }>['data'];
export type VerdictClaims = EventData<'MissionGated'>['verdict']['claims'];
export type RefusalOutcome = Exclude<EventData<'MissionCancelled'>['outcome'], 'cancelled'>;

/** Where a task stands. `waiting` covers the contract's `ready` too: which it is can be read off the other tasks. */
export type TaskProgress =
  | Readonly<{ status: 'waiting' | 'awaiting_approval' }>
  | Readonly<{ status: 'running'; runner_id: string; input_digest: string; deadline: string }>
  | Readonly<{ status: 'backing_off'; retry_at: string }>
  | Readonly<{
      status: 'completed';
      ended_at: string;
      output: Json;
      output_ref?: ArtifactRef;
      artifacts: readonly ArtifactRef[];
    }>
  | Readonly<{ status: 'failed' | 'cancelled'; ended_at: string }>;

/** Leave for one task alone, asked for and, once `granted_by` is there, given. */
export type TaskApproval = Readonly<{ approval_id: string; effect_digest: string; granted_by?: string }>;

export type TaskState = Readonly<{
  plan: EventData<'MissionPlanned'>['tasks'][number];
  /** Of the last claim, 0 before the first: the fence. It only rises. */
  attempt: number;
  /** How often the worker itself failed or ran out of time. */
  tries: number;
  /** Claims in a row that ended through no fault of the worker. */
  releases: number;
  approval?: TaskApproval;
  started_at?: string;
  error?: Readonly<{ code: string; message: string }>;
  progress: TaskProgress;
}>;

export type MissionApproval = Readonly<{ approval_id: string }> &
  (
    | Readonly<{ status: 'pending' }>
    | Readonly<{ status: 'granted'; granted_by: string; shape: boolean }>
    | Readonly<{ status: 'refused'; outcome: RefusalOutcome }>
  );

export type ActiveStatus = 'queued' | 'running' | 'verifying';
export type EndedStatus = 'completed' | 'failed' | 'cancelled';

export type ExistingMission = Readonly<{
  status: 'accepted' | 'awaiting_approval' | 'suggested' | ActiveStatus | EndedStatus;
  request: EventData<'MissionCreated'>;
  plan: Omit<EventData<'MissionPlanned'>, 'tasks'>;
  tasks: readonly TaskState[];
  held: boolean;
  created_at: string;
  verdict?: VerdictClaims;
  /** Governance's signature under `verdict`. */
  verdict_signature?: string;
  approval?: MissionApproval;
  started_at?: string;
  ended_at?: string;
  result?: MissionResult;
  failure?: MissionFailure;
  reason?: string;
}>;

export type Mission =
  | Readonly<{ status: 'absent' }>
  /** Between the first two events of the commit that creates a mission; no commit ends here. */
  | Readonly<{ status: 'unplanned'; request: EventData<'MissionCreated'>; created_at: string }>
  | ExistingMission;

export const exists = (state: Mission): state is ExistingMission =>
  state.status !== 'absent' && state.status !== 'unplanned';

export const isTerminal = (state: Mission): boolean =>
  state.status === 'completed' || state.status === 'failed' || state.status === 'cancelled';

/** Whether tasks may start. */
export const isActive = (state: Mission): state is ExistingMission & { status: ActiveStatus } =>
  state.status === 'queued' || state.status === 'running' || state.status === 'verifying';

export const taskOf = (state: ExistingMission, task_id: string): TaskState | undefined =>
  state.tasks.find(({ plan }) => plan.task_id === task_id);

/** The rank that a start of this task answers to: the mission's, or its own where that is higher. */
export const rankOfTask = (state: ExistingMission, task: TaskState): Rank =>
  highestRank([state.plan.effective_rank, task.plan.risk_level]);

const completedIds = (state: ExistingMission): ReadonlySet<string> => {
  const completed = new Set<string>();
  for (const { plan, progress } of state.tasks) if (progress.status === 'completed') completed.add(plan.task_id);
  return completed;
};

const isReady = (task: TaskState, completed: ReadonlySet<string>) =>
  task.progress.status === 'waiting' && task.plan.depends_on.every((task_id) => completed.has(task_id));

/** Tasks that could be claimed now, in the order of the plan. */
export const readyTasks = (state: Mission): readonly TaskState[] => {
  if (!isActive(state)) return [];
  const completed = completedIds(state);
  return state.tasks.filter((task) => isReady(task, completed));
};

export const runningTasks = (state: Mission): readonly TaskState[] =>
  exists(state) ? state.tasks.filter(({ progress }) => progress.status === 'running') : [];

/** Where each task stands, in the contract's words. */
export const taskStatuses = (state: ExistingMission): ReadonlyMap<string, TaskStatus> => {
  const ready = new Set(readyTasks(state));
  return new Map(state.tasks.map((task) => [task.plan.task_id, ready.has(task) ? 'ready' : task.progress.status]));
};

/** The approvals that someone is asked for now: the mission's own, or those of single tasks. */
export const awaitedApprovals = (state: Mission): readonly Readonly<{ approval_id: string; task_id?: string }>[] => {
  if (!exists(state)) return [];
  if (state.status === 'awaiting_approval') return state.approval ? [{ approval_id: state.approval.approval_id }] : [];
  return state.tasks.flatMap(({ plan, progress, approval }) =>
    progress.status === 'awaiting_approval' && approval
      ? [{ approval_id: approval.approval_id, task_id: plan.task_id }]
      : [],
  );
};

/** Where one task stands. */
export const statusOf = (state: ExistingMission, task: TaskState): TaskStatus =>
  isActive(state) && isReady(task, completedIds(state)) ? 'ready' : task.progress.status;

export const onlyVerifyingLeft = (state: ExistingMission): boolean =>
  state.tasks.every(({ plan, progress }) => plan.verifies || progress.status === 'completed');
