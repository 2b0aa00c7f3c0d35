// How the attempts of a task end: by a result, a failure, a loss, or the clock (M6 to M10).

import { accept, nothing, reject, secondsAfter } from '@nexusmon/kernel';
import {
  BACKOFF_SECONDS_MAX,
  DEADLINE_GRACE_SECONDS,
  DEFAULT_RETRY,
  type MissionFailure,
  type MissionResult,
} from '@nexusmon/mission-contract';
import type { AttemptResult, TaskError } from '@nexusmon/worker-contract';
import type { CommandOf, MissionDecision, MissionRejection } from './mission.commands.js';
import { evolveExisting, type LaterEvent } from './mission.evolve.js';
import {
  exists,
  isActive,
  onlyVerifyingLeft,
  taskOf,
  type EventData,
  type ExistingMission,
  type Mission,
  type TaskState,
} from './mission.state.js';

type By = Readonly<{ actor: string; time: string }>;

export const reportTask = ({ actor, time, data }: CommandOf<'ReportTask'>, state: ExistingMission): MissionDecision => {
  const { task_id, attempt, result } = data;
  const task = runningAttempt(state, task_id, attempt);
  if ('code' in task) return reject(task);
  const by = { actor, time };
  if (result.outcome === 'completed')
    return accept(...completed(state, { task_id, attempt, ...withoutOutcome(result) }, by));
  const { code } = result.error;
  if (code === 'permit_invalid' || code === 'runner_lost') return accept(released(task, code, by));
  return accept(...failed(task, result.error, by, result.duration_ms));
};

export const releaseTask = (
  { actor, time, data }: CommandOf<'ReleaseTask'>,
  state: ExistingMission,
): MissionDecision => {
  const task = runningAttempt(state, data.task_id, data.attempt);
  return 'code' in task ? reject(task) : accept(released(task, data.why, { actor, time }));
};

/** The task, when this attempt of it is the one that runs; else the fence (M6). */
const runningAttempt = (state: ExistingMission, task_id: string, attempt: number): TaskState | MissionRejection => {
  const task = taskOf(state, task_id);
  if (!task) return { code: 'task-not-found', task_id };
  const current = task.progress.status === 'running' && task.attempt === attempt;
  return current ? task : { code: 'stale-attempt', task_id, attempt: task.attempt };
};

type Completion = Extract<AttemptResult, { outcome: 'completed' }>;

const withoutOutcome = ({ outcome: _outcome, ...rest }: Completion) => rest;

const completed = (state: ExistingMission, data: EventData<'TaskCompleted'>, by: By): readonly LaterEvent[] => {
  const done: LaterEvent = { type: 'TaskCompleted', ...by, data };
  const after = evolveExisting(state, done);
  if (after.tasks.every(({ progress }) => progress.status === 'completed')) return [done, missionCompleted(after, by)];
  if (after.status === 'running' && onlyVerifyingLeft(after))
    return [done, { type: 'MissionVerifying', ...by, data: {} }];
  return [done];
};

const missionCompleted = (state: ExistingMission, by: By): LaterEvent => {
  const { fingerprint, effective_rank, plan_source } = state.plan;
  const artifacts = state.tasks.flatMap(({ progress }) => (progress.status === 'completed' ? progress.artifacts : []));
  // The planner's own plan answers a goal with what is known about it; nobody has pursued the goal.
  const pursued = plan_source !== 'planner';
  const result: MissionResult = { kind: pursued ? 'outputs' : 'brief', fulfilled: pursued, artifacts };
  const verified = state.tasks.every(({ plan, progress }) => !plan.verifies || progress.status === 'completed');
  const { category } = state.request;
  return { type: 'MissionCompleted', ...by, data: { result, verified, fingerprint, category, effective_rank } };
};

type Fault = Pick<TaskError, 'code' | 'message' | 'retryable'>;

const failed = (
  { plan, attempt, tries: before }: TaskState,
  { code, message, retryable }: Fault,
  by: By,
  duration_ms?: number,
): readonly LaterEvent[] => {
  const { task_id, retry, verifies } = plan;
  const tries = before + 1;
  const data = { task_id, attempt, code, message, ...(duration_ms === undefined ? {} : { duration_ms }) };
  if (retryable && tries < retry.max_attempts) {
    const retry_at = secondsAfter(by.time, backoffSeconds(retry.backoff_seconds, tries));
    return [{ type: 'TaskFailed', ...by, data: { ...data, retry_at } }];
  }
  const failure: MissionFailure = { code: verifies ? 'verification_failed' : 'task_failed', message, task_id };
  return [
    { type: 'TaskFailed', ...by, data },
    { type: 'TaskDeadLettered', ...by, data: { task_id, attempt, tries, code } },
    { type: 'MissionFailed', ...by, data: { failure } },
  ];
};

const backoffSeconds = (first: number, tries: number) => Math.min(BACKOFF_SECONDS_MAX, first * 2 ** (tries - 1));

/**
 * One lost runner is made good at once. A task whose attempts are lost again and again, or whose permits are not
 * believed, would otherwise be claimed in a loop, since neither uses up a try.
 */
const released = (task: TaskState, why: EventData<'TaskReleased'>['why'], { actor, time }: By): LaterEvent => {
  const losses = why === 'permit_invalid' ? task.releases + 1 : task.releases;
  const data = { task_id: task.plan.task_id, attempt: task.attempt, why };
  if (losses === 0) return { type: 'TaskReleased', actor, time, data };
  const retry_at = secondsAfter(time, backoffSeconds(DEFAULT_RETRY.backoff_seconds, losses));
  return { type: 'TaskReleased', actor, time, data: { ...data, retry_at } };
};

const isDue = (instant: string | undefined, time: string) => instant !== undefined && instant <= time;

/** When the mission as a whole is out of time. */
const missionDeadline = ({ started_at, request }: ExistingMission): string | undefined => {
  const { max_time_seconds } = request.constraints;
  return started_at === undefined || max_time_seconds === undefined
    ? undefined
    : secondsAfter(started_at, max_time_seconds);
};

/** When the clock next has something to say to this task. */
const taskDueAt = ({ progress }: TaskState): string | undefined => {
  if (progress.status === 'running') return secondsAfter(progress.deadline, DEADLINE_GRACE_SECONDS);
  return progress.status === 'backing_off' ? progress.retry_at : undefined;
};

/** When a Tick will next change anything; undefined when none will. */
export const nextDueAt = (state: Mission): string | undefined => {
  if (!exists(state) || !isActive(state)) return undefined;
  const instants = [missionDeadline(state), ...state.tasks.map(taskDueAt)].flatMap((instant) => instant ?? []);
  return instants.reduce<string | undefined>(
    (first, next) => (first === undefined || next < first ? next : first),
    undefined,
  );
};

export const tick = ({ actor, time }: CommandOf<'Tick'>, state: ExistingMission): MissionDecision => {
  if (!isActive(state)) return nothing;
  const by = { actor, time };
  if (isDue(missionDeadline(state), time)) {
    const message = `not finished within ${state.request.constraints.max_time_seconds} s of its start`;
    const failure: MissionFailure = { code: 'constraint_exceeded', message };
    return accept({ type: 'MissionFailed', ...by, data: { failure } });
  }
  const events: LaterEvent[] = [];
  for (const task of state.tasks) {
    if (!isDue(taskDueAt(task), time)) continue;
    const due = dueEvents(task, by);
    events.push(...due);
    // The first final failure ends the mission, and every other task with it (M9).
    if (due.some(({ type }) => type === 'MissionFailed')) break;
  }
  return accept(...events);
};

const dueEvents = (task: TaskState, by: By): readonly LaterEvent[] => {
  if (task.progress.status !== 'running') return [{ type: 'TaskReady', ...by, data: { task_id: task.plan.task_id } }];
  const message = `no result by its deadline ${task.progress.deadline}`;
  return failed(task, { code: 'worker_timed_out', message, retryable: true }, by);
};
