// What must be true of every schedule, read off the log, the views, and what people and runners were told.
//
//   P17. A task has at most one accepted result, of the attempt that was the last to be claimed.
//   P20. Whatever was interrupted has come to rest: ended, or waiting for a person who has been asked.
//   P21. No timer is early, none is missed, and none has an effect twice.
//   P30. E and D run by themselves, C and B flagged; at A and S, and behind a gate, nothing starts before a grant that
//        governance has recorded for just that, given by whoever may.
//   L.   Every commit follows the one that it was decided on; every command has an effect once; what was answered is
//        there; the views, and the stage, are what the log says.
//   T.   Only the worker's own failure or time-out uses up a try.

import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '@nexusmon/event-log';
import type { StageEvent } from '@nexusmon/evolution-contract';
import { stageAt } from '@nexusmon/evolution-domain';
import type { ApprovalEvent } from '@nexusmon/governance-contract';
import { approval, type Approval } from '@nexusmon/governance-domain';
import { DEADLINE_GRACE_SECONDS, type MissionEvent } from '@nexusmon/mission-contract';
import {
  awaitedApprovals,
  exists,
  isTerminal,
  mission,
  nextDueAt,
  readyTasks,
  runningTasks,
  type ExistingMission,
  type Mission,
} from '@nexusmon/mission-domain';
import { secondsAfter } from '@nexusmon/kernel';
import { RANKS, type Rank } from '@nexusmon/shared-contract';
import { RECKONING_VIEW, TOTAL_VIEW } from '../../libs/evolution/service/src/progress/progress.projection.js';
import { APPROVAL_VIEW } from '../../libs/governance/service/src/approval/approval.projection.js';
import { MISSION_VIEW } from '../../libs/mission/service/src/mission/mission.projection.js';
import type { Callers, Execution } from './people.js';
import type { World } from './services.js';

type Placed<Event> = Readonly<{ sequence: number; event: Event }>;
type EventOf<Type extends MissionEvent['type']> = Extract<MissionEvent, { type: Type }>;
export type MissionStory = Readonly<{ id: string; state: Mission; events: readonly Placed<MissionEvent>[] }>;
type ApprovalStory = Readonly<{ id: string; state: Approval; events: readonly Placed<ApprovalEvent>[] }>;

/** The log as it was told, folded by the product's deciders. */
type Story = Readonly<{
  missions: readonly MissionStory[];
  approvals: ReadonlyMap<string, ApprovalStory>;
  stages: readonly StageEvent[];
}>;

/** A timer that is due for longer than this was missed. */
const LATE_SECONDS = 15;
const isAbove = (rank: Rank, other: Rank) => RANKS.indexOf(rank) > RANKS.indexOf(other);
const isHigh = (rank: Rank) => rank === 'A' || rank === 'S';

/** Whether nothing is left that the product would do by itself soon. */
export const isAtRest = (world: World): boolean => {
  const { now } = world.machine;
  const asked = new Map(world.tables.governance.rows(APPROVAL_VIEW).map((row) => [row['approval_id'], row]));
  for (const { next_due_at: due } of [...asked.values(), ...world.tables.mission.rows(MISSION_VIEW)])
    if (typeof due === 'string' && due <= now) return false;
  return world.tables.mission.rows(MISSION_VIEW).every((row) => {
    const state = row['state'] as Mission;
    if (!exists(state) || isTerminal(state)) return true;
    if (readyTasks(state).length > 0 || runningTasks(state).length > 0) return false;
    const awaited = awaitedApprovals(state);
    if (awaited.length > 0) return awaited.every(({ approval_id }) => asked.get(approval_id)?.['status'] === 'pending');
    return state.status === 'accepted' || state.status === 'suggested';
  });
};

const storyOf = async (world: World): Promise<Story> => {
  const missions = new Map<string, Placed<MissionEvent>[]>();
  const approvals = new Map<string, Placed<ApprovalEvent>[]>();
  const stages: StageEvent[] = [];
  for (const { commit, events } of await world.commits.all())
    for (const recorded of events) {
      const event = messageOf(recorded);
      const { id, sequence, kind } = commit;
      if (kind === 'evolution.stage') stages.push(event as StageEvent);
      if (kind === 'mission.mission')
        missions.set(id, [...(missions.get(id) ?? []), { sequence, event: event as MissionEvent }]);
      if (kind === 'governance.approval')
        approvals.set(id, [...(approvals.get(id) ?? []), { sequence, event: event as ApprovalEvent }]);
    }
  const fold =
    <State, Event>(decider: { initial: State; evolve: (state: State, event: Event) => State }) =>
    (of: readonly Placed<Event>[]) =>
      of.reduce((state, { event }) => decider.evolve(state, event), decider.initial);
  return {
    missions: [...missions].map(([id, events]) => ({ id, events, state: fold(mission)(events) })),
    approvals: new Map(
      [...approvals].map(([id, events]) => [id, { id, events, state: fold(approval)(events) }] as const),
    ),
    stages,
  };
};

/** What of the promises was broken; nothing when all is well. */
export const findingsOf = async (
  world: World,
  callers: Callers,
  executions: readonly Execution[],
): Promise<readonly string[]> => {
  const story = await storyOf(world);
  const broken: string[] = world.corrupted.map((error) => `L: ${error.message}`);
  const must = (holds: boolean, what: string) => void (holds || broken.push(what));
  await checkLog(world, must);
  checkTold(world, story, callers, must);
  checkViews(world, story, must);
  for (const one of story.approvals.values()) checkApproval(one, world.machine.now, must);
  for (const one of story.missions) {
    if (!exists(one.state)) continue;
    const known = { ...one, state: one.state };
    checkStarts(known, story.approvals, must);
    checkAttempts(known, executions, must);
    checkFailures(known, executions, must);
    checkEnd(known, executions, story.approvals, must);
    checkTimers(known, world.machine.now, must);
  }
  for (const { assignment, runner_id } of executions) {
    const { mission_id, task_id, attempt } = assignment;
    const claimed = story.missions.some(({ id, events }) =>
      events.some(
        ({ event }) =>
          event.type === 'TaskClaimed' &&
          isDeepStrictEqual(
            [id, event.data.task_id, event.data.attempt, event.data.runner_id],
            [mission_id, task_id, attempt, runner_id],
          ),
      ),
    );
    must(claimed, `P17: ${runner_id} ran ${task_id} ${attempt} without a claim`);
  }
  return broken;
};

type Must = (holds: boolean, what: string) => void;
type Known = MissionStory & Readonly<{ state: ExistingMission }>;

const checkLog = async (world: World, must: Must): Promise<void> => {
  const last = new Map<string, { sequence: number; hash: string }>();
  const seen = new Set<string>();
  for (const { commit } of await world.commits.all()) {
    const { subject, sequence, hash, expected, previous } = commit;
    const before = last.get(subject) ?? { sequence: 0, hash: '' };
    must(expected === before.sequence && previous === before.hash, `L: ${sequence} does not follow ${before.sequence}`);
    last.set(subject, { sequence, hash });
    for (const { command_id } of commit.commands) {
      must(!seen.has(`${subject} ${command_id}`), `L: ${command_id} took effect twice`);
      seen.add(`${subject} ${command_id}`);
    }
  }
};

const checkTold = (world: World, { missions }: Story, { told }: Callers, must: Must): void => {
  const known = new Set(missions.map(({ id }) => id));
  for (const { mission_id, reply } of told)
    must(reply.kind !== 'done' || known.has(mission_id), `L: ${mission_id} was answered and is not there`);
  void world;
};

const checkViews = (world: World, { missions, approvals, stages }: Story, must: Must): void => {
  const shown = (rows: readonly Readonly<Record<string, unknown>>[], id: string) =>
    new Map(rows.map((row) => [row[id], row['state']]));
  const mission_rows = shown(world.tables.mission.rows(MISSION_VIEW), 'mission_id');
  const approval_rows = shown(world.tables.governance.rows(APPROVAL_VIEW), 'approval_id');
  for (const { id, state } of missions)
    must(isDeepStrictEqual(mission_rows.get(id), state), `L: the view of ${id} is not what the log says`);
  for (const { id, state } of approvals.values())
    must(isDeepStrictEqual(approval_rows.get(id), state), `L: the view of ${id} is not what the log says`);
  const count = Number(world.tables.evolution.rows(TOTAL_VIEW)[0]?.['count'] ?? 0);
  const reckonings = world.tables.evolution.rows(RECKONING_VIEW).length;
  must(stages.length === reckonings, `L: ${reckonings} changes of stage were reckoned, ${stages.length} recorded`);
  must((stages.at(-1)?.data.to ?? 'DORMANT') === stageAt(count), `L: the stage is not that of ${count}`);
};

const checkApproval = ({ id, events, state }: ApprovalStory, now: string, must: Must): void => {
  const settled = events.filter(({ event }) => /^Approval(Granted|Denied|Expired|Withdrawn)$/.test(event.type));
  must(settled.length <= 1, `P21: ${id} was settled ${settled.length} times`);
  const [first] = events;
  if (first?.event.type !== 'ApprovalRequested') return must(false, `L: ${id} begins with ${first?.event.type}`);
  const { expires_at, rank } = first.event.data;
  let effective_at = '';
  for (const { event } of events) {
    const ruled =
      event.type === 'ApprovalCoolingOff' || event.type === 'ApprovalDenied' || event.type === 'ApprovalGranted';
    must(!ruled || effective_at !== '' || event.time < expires_at, `P21: ${id} was ruled on after its time`);
    if (event.type === 'ApprovalCoolingOff') effective_at = event.data.effective_at;
    if (event.type === 'ApprovalExpired') must(event.time >= expires_at, `P21: ${id} expired early`);
    if (event.type !== 'ApprovalGranted') continue;
    must(event.time >= effective_at, `P21: ${id} was granted before its cooling-off was over`);
    must(rank !== 'S' || effective_at !== '', `P30: ${id} was granted at S without a cooling-off`);
    const may = isHigh(rank) ? /^operator:ada$/ : /^operator:/;
    must(may.test(event.data.granted_by), `P30: ${id} was granted by ${event.data.granted_by}`);
  }
  const due = state.status === 'pending' ? expires_at : state.status === 'cooling_off' ? effective_at : undefined;
  must(due === undefined || secondsAfter(due, LATE_SECONDS) > now, `P21: ${id} was due at ${due}`);
};

const checkStarts = ({ id, state, events }: Known, approvals: Story['approvals'], must: Must): void => {
  const { effective_rank, plan_digest } = state.plan;
  for (const { sequence, event } of events) {
    if (event.type === 'MissionGated') {
      const { outcome } = event.data.verdict.claims;
      const expected = isHigh(effective_rank)
        ? 'needs_approval'
        : /[CB]/.test(effective_rank)
          ? 'execute_and_flag'
          : 'execute';
      must(outcome === expected, `P30: ${id} of rank ${effective_rank} was let through as ${outcome}`);
    }
    if (event.type === 'MissionCancelled' && event.data.outcome === 'cancelled')
      must(event.actor !== 'operator:cem' || !isAbove(effective_rank, 'C'), `P30: ${id} was cancelled over a ceiling`);
    if (event.type !== 'TaskClaimed') continue;
    const task = state.tasks.find(({ plan }) => plan.task_id === event.data.task_id);
    const granted = (task_id: string | undefined) =>
      [...approvals.values()].some(
        ({ id: approval_id, state: { status, ...rest }, events: history }) =>
          status === 'granted' &&
          'request' in rest &&
          rest.request.mission_id === id &&
          rest.request.plan_digest === plan_digest &&
          rest.request.task_id === task_id &&
          !isAbove(effective_rank, rest.request.rank) &&
          history.some((told) => told.event.type === 'ApprovalGranted' && told.sequence < sequence) &&
          (task_id === undefined || event.data.permit.claims.approval_id === approval_id),
      );
    const [high, gated] = [isHigh(effective_rank), task?.plan.requires_approval ?? true];
    must(!high || granted(undefined), `P30: ${id} started at ${effective_rank} without a grant`);
    must(!gated || granted(event.data.task_id), `P30: ${event.data.task_id} of ${id} started behind its gate`);
  }
};

const checkAttempts = ({ id, state, events }: Known, executions: readonly Execution[], must: Must): void => {
  for (const { plan } of state.tasks) {
    const { task_id } = plan;
    const results = events.filter(({ event }) => event.type === 'TaskCompleted' && event.data.task_id === task_id);
    must(results.length <= 1, `P17: ${task_id} of ${id} has ${results.length} results`);
    let running: EventOf<'TaskClaimed'>['data'] | undefined;
    let last = 0;
    for (const { event } of events) {
      if (!('task_id' in event.data) || event.data.task_id !== task_id) continue;
      if (event.type === 'TaskClaimed') {
        must(running === undefined && event.data.attempt === last + 1, `P17: ${task_id} of ${id} was claimed twice`);
        running = event.data;
        last = event.data.attempt;
      }
      if (event.type !== 'TaskCompleted' && event.type !== 'TaskFailed' && event.type !== 'TaskReleased') continue;
      must(running?.attempt === event.data.attempt, `P17: ${event.type} of an attempt of ${task_id} that does not run`);
      if (event.type === 'TaskCompleted') {
        const said = isDeepStrictEqual(event.data.output, { value: `${task_id} ${running?.attempt}` });
        must(said, `P17: the result of ${task_id} is of another attempt`);
      }
      running = undefined;
    }
    const own = executions.filter(({ assignment: of }) => of.mission_id === id && of.task_id === task_id);
    const accepted = own.filter((one) => one.accepted === true && one.result?.outcome === 'completed');
    must(accepted.length <= 1, `P17: ${accepted.length} runners were told that their result of ${task_id} counts`);
    must(
      new Set(own.map(({ assignment }) => assignment.attempt)).size === own.length,
      `P17: ${task_id} ran twice at once`,
    );
  }
};

const checkFailures = ({ id, state, events }: Known, executions: readonly Execution[], must: Must): void => {
  for (const { plan, tries } of state.tasks) {
    const { task_id, retry } = plan;
    const own = executions.filter(({ assignment: of }) => of.mission_id === id && of.task_id === task_id);
    const faults = events.flatMap(({ event }) =>
      event.type === 'TaskFailed' && event.data.task_id === task_id ? [event] : [],
    );
    must(tries === faults.length, `T: ${task_id} of ${id} has ${tries} tries after ${faults.length} failures`);
    for (const { data, time } of faults) {
      const run = own.find(({ assignment }) => assignment.attempt === data.attempt);
      const deadline = events.flatMap(({ event }) =>
        event.type === 'TaskClaimed' && event.data.task_id === task_id && event.data.attempt === data.attempt
          ? [event.data.deadline]
          : [],
      )[0];
      const own_fault = run?.result?.outcome === 'failed' && data.code === 'worker_failed';
      const late = deadline !== undefined && time >= secondsAfter(deadline, DEADLINE_GRACE_SECONDS);
      must(own_fault || (data.code === 'worker_timed_out' && late), `T: ${task_id} of ${id} failed by ${data.code}`);
    }
    const final = faults.at(-1);
    const run = own.find(({ assignment }) => assignment.attempt === final?.data.attempt);
    const unforgiven = run?.result?.outcome === 'failed' && !run.result.error.retryable;
    const dead = events.some(({ event }) => event.type === 'TaskDeadLettered' && event.data.task_id === task_id);
    must(!dead || faults.length === retry.max_attempts || unforgiven, `T: ${task_id} of ${id} was given up early`);
  }
};

/** After the end nothing follows; what was counted is there; nobody is asked, or refused, without need. */
const checkEnd = (
  { id, state, events }: Known,
  executions: readonly Execution[],
  approvals: Story['approvals'],
  must: Must,
): void => {
  const end = events.findIndex(({ event }) => /^Mission(Completed|Failed|Cancelled)$/.test(event.type));
  must(end < 0 || end === events.length - 1, `L: ${id} went on after its end`);
  const last = events.at(-1)?.event;
  const refused = last?.type === 'MissionFailed' && last.data.failure.code === 'not_permitted';
  must(!refused, `P30: a task of ${id} was let through and then refused`);
  for (const { accepted, assignment, result } of executions) {
    if (accepted !== true || assignment.mission_id !== id) continue;
    const name = result?.outcome === 'completed' ? 'TaskCompleted' : 'TaskFailed';
    const counted = events.some(
      ({ event: { type, data } }) =>
        type === name && data.task_id === assignment.task_id && data.attempt === assignment.attempt,
    );
    must(counted, `P17: a result of ${assignment.task_id} of ${id} was accepted and is not there`);
  }
  const asked = [...approvals.values()].some(({ state: asking }) =>
    'request' in asking ? asking.request.mission_id === id : false,
  );
  const free = !isHigh(state.plan.effective_rank) && state.tasks.every(({ plan }) => !plan.requires_approval);
  must(!free || !asked, `P30: somebody was asked about ${id} of rank ${state.plan.effective_rank}`);
};

const checkTimers = ({ id, state, events }: Known, now: string, must: Must): void => {
  const due = new Map<string, string>();
  for (const { event } of events) {
    if (event.type === 'TaskFailed' || event.type === 'TaskReleased')
      if (event.data.retry_at !== undefined) due.set(event.data.task_id, event.data.retry_at);
    if (event.type === 'TaskReady') {
      const retry_at = due.get(event.data.task_id);
      must(retry_at !== undefined && event.time >= retry_at, `P21: ${event.data.task_id} of ${id} was ready too early`);
      due.delete(event.data.task_id);
    }
    if (event.type === 'TaskClaimed')
      must(!due.has(event.data.task_id), `P21: ${event.data.task_id} of ${id} was claimed during its back-off`);
    if (event.type === 'MissionFailed' && event.data.failure.code === 'constraint_exceeded') {
      const { started_at = '', request } = state;
      const over = secondsAfter(started_at, request.constraints.max_time_seconds ?? Infinity);
      must(event.time >= over, `P21: ${id} ran out of time too early`);
    }
  }
  const next = nextDueAt(state);
  must(next === undefined || secondsAfter(next, LATE_SECONDS) > now, `P21: ${id} was due at ${next}`);
};
