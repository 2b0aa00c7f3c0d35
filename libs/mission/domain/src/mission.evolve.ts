import type { MissionEvent } from '@nexusmon/mission-contract';
import type { EventData, ExistingMission, Mission, TaskProgress, TaskState } from './mission.state.js';
import { exists } from './mission.state.js';

type EventOf<Type extends MissionEvent['type']> = Extract<MissionEvent, { type: Type }>;

export const evolve = (state: Mission, event: MissionEvent): Mission => {
  if (event.type === 'MissionCreated') return { status: 'unplanned', request: event.data, created_at: event.time };
  if (event.type === 'MissionPlanned') return planned(state, event);
  // Only the two events above can meet a mission that is not there: any other is decided on an existing one.
  return exists(state) ? evolveExisting(state, event) : state;
};

const planned = (state: Mission, { data }: EventOf<'MissionPlanned'>): Mission => {
  if (state.status !== 'unplanned') return state;
  const { tasks, ...plan } = data;
  const { request, created_at } = state;
  return { status: 'accepted', request, plan, tasks: tasks.map(notStarted), held: request.hold, created_at };
};

const notStarted = (plan: TaskState['plan']): TaskState => ({
  plan,
  attempt: 0,
  tries: 0,
  releases: 0,
  progress: { status: 'waiting' },
});

/** Everything that happens to a mission once it is planned. */
export type LaterEvent = Exclude<MissionEvent, EventOf<'MissionCreated' | 'MissionPlanned'>>;
type TaskEvent = Extract<LaterEvent, { type: `Task${string}` }>;

const isTaskEvent = (event: LaterEvent): event is TaskEvent => event.type.startsWith('Task');

export const evolveExisting = (state: ExistingMission, event: LaterEvent): ExistingMission =>
  isTaskEvent(event)
    ? {
        ...state,
        tasks: state.tasks.map((task) => (task.plan.task_id === event.data.task_id ? evolveTask(task, event) : task)),
      }
    : evolveMission(state, event);

const evolveMission = (state: ExistingMission, event: Exclude<LaterEvent, TaskEvent>): ExistingMission => {
  switch (event.type) {
    case 'MissionGated':
      return gated(state, event.data);
    case 'MissionHeld':
      return { ...state, status: 'accepted' };
    case 'MissionHoldLifted':
      return { ...state, held: false };
    case 'MissionApproved': {
      const { approval_id, granted_by, shape } = event.data;
      return { ...state, approval: { status: 'granted', approval_id, granted_by, shape } };
    }
    case 'MissionQueued':
      return { ...state, status: 'queued' };
    case 'MissionStarted':
      return { ...state, status: 'running', started_at: event.time };
    case 'MissionVerifying':
      return { ...state, status: 'verifying' };
    case 'MissionCompleted':
      return { ...state, status: 'completed', ended_at: event.time, result: event.data.result };
    case 'MissionFailed':
      return { ...ended(state, event.time), status: 'failed', failure: event.data.failure };
    case 'MissionCancelled':
      return cancelled(state, event);
  }
};

const gated = (state: ExistingMission, { verdict, approval_id }: EventData<'MissionGated'>): ExistingMission => {
  const judged = { ...state, verdict: verdict.claims, verdict_signature: verdict.signature };
  if (verdict.claims.outcome === 'blocked') return { ...judged, status: 'suggested' };
  if (verdict.claims.outcome !== 'needs_approval' || approval_id === undefined) return judged;
  return { ...judged, status: 'awaiting_approval', approval: { status: 'pending', approval_id } };
};

const cancelled = (state: ExistingMission, { time, data }: EventOf<'MissionCancelled'>): ExistingMission => {
  const { outcome, approval_id, reason } = data;
  const over: ExistingMission = {
    ...ended(state, time),
    status: 'cancelled',
    ...(reason === undefined ? {} : { reason }),
  };
  if (outcome === 'cancelled' || approval_id === undefined) return over;
  return { ...over, approval: { status: 'refused', approval_id, outcome } };
};

/** What has not ended by itself ends with its mission. */
const ended = (state: ExistingMission, time: string): ExistingMission => ({
  ...state,
  ended_at: time,
  tasks: state.tasks.map((task) => {
    const { status } = task.progress;
    const over = status === 'completed' || status === 'failed';
    return over ? task : { ...task, progress: { status: 'cancelled', ended_at: time } };
  }),
});

const evolveTask = (task: TaskState, event: TaskEvent): TaskState => {
  switch (event.type) {
    case 'TaskClaimed': {
      const { attempt, runner_id, input_digest, deadline } = event.data;
      const progress: TaskProgress = { status: 'running', runner_id, input_digest, deadline };
      return { ...task, attempt, progress, started_at: task.started_at ?? event.time };
    }
    case 'TaskGated': {
      const { approval_id, effect_digest } = event.data;
      return { ...task, approval: { approval_id, effect_digest }, progress: { status: 'awaiting_approval' } };
    }
    case 'TaskApproved': {
      const { approval_id, effect_digest, granted_by } = event.data;
      return { ...task, approval: { approval_id, effect_digest, granted_by }, progress: { status: 'waiting' } };
    }
    case 'TaskCompleted': {
      const { output, output_ref, artifacts } = event.data;
      const kept = output_ref === undefined ? { output } : { output, output_ref };
      return { ...task, progress: { status: 'completed', ended_at: event.time, ...kept, artifacts } };
    }
    case 'TaskFailed': {
      const { code, message, retry_at } = event.data;
      const progress: TaskProgress =
        retry_at === undefined ? { status: 'failed', ended_at: event.time } : { status: 'backing_off', retry_at };
      return { ...task, tries: task.tries + 1, releases: 0, error: { code, message }, progress };
    }
    case 'TaskReady':
      return { ...task, progress: { status: 'waiting' } };
    case 'TaskReleased': {
      const { retry_at } = event.data;
      const progress: TaskProgress =
        retry_at === undefined ? { status: 'waiting' } : { status: 'backing_off', retry_at };
      return { ...task, releases: task.releases + 1, progress };
    }
    case 'TaskDeadLettered':
      return task;
  }
};
