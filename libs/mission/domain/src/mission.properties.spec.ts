import { describe, expect, it } from '@jest/globals';
import type { MissionEvent } from '@nexusmon/mission-contract';
import fc from 'fast-check';
import { nextDueAt } from './mission.attempts.js';
import type { MissionCommand } from './mission.commands.js';
import { mission } from './mission.js';
import {
  approval_id,
  at,
  cancel,
  chain,
  claim,
  created,
  effect_digest,
  fail,
  gate,
  grant,
  high,
  other_approval_id,
  refuse,
  release,
  report,
  run,
  task,
  task_approval_id,
  tick,
  verdict,
  type Setting,
} from './mission.scenes.js';
import {
  awaitedApprovals,
  exists,
  isTerminal,
  readyTasks,
  runningTasks,
  type ExistingMission,
  type Mission,
  type TaskState,
} from './mission.state.js';

const fold = (events: readonly MissionEvent[]) => events.reduce(mission.evolve, mission.initial);

const gated = [
  task('one', { requires_approval: true }),
  task('two', { depends_on: ['one'], input: { $output: 'one' } }),
];
const settings: readonly Setting[] = [
  {},
  { hold: true },
  { max_time_seconds: 40 },
  { plan_source: 'planner', tasks: [task('one'), task('two'), task('check', { depends_on: ['one'], verifies: true })] },
  high,
  { ...high, hold: true },
  { ...high, rank: 'S', tasks: gated },
  { ...high, rank: 'B', outcome: 'needs_approval' },
  { tasks: gated },
  { outcome: 'blocked' },
  { tasks: chain.map((planned) => ({ ...planned, retry: { max_attempts: 1, backoff_seconds: 0 } })) },
];

type Step = (state: ExistingMission, seconds: number) => MissionCommand;

const anyTask = fc.constantFrom('one', 'two', 'check');
/** How far off an attempt number is: mostly not at all. */
const anySkew = fc.constantFrom(0, 0, 0, 0, 0, 0, -1, 1);
const anyId = fc.constantFrom(approval_id, task_approval_id, other_approval_id);
const rarely = fc.constantFrom(false, false, false, false, false, true);
const find = (state: ExistingMission, task_id: string) => state.tasks.find(({ plan }) => plan.task_id === task_id);
const attemptOf = (state: ExistingMission, task_id: string) => find(state, task_id)?.attempt ?? 0;
/** A task that something can be done with, unless it shall be a stray one. */
const oneOf = (tasks: readonly TaskState[], stray: boolean, task_id: string) =>
  stray ? task_id : (tasks[0]?.plan.task_id ?? task_id);

const anyClaim = fc
  .record({
    stray: rarely,
    task: anyTask,
    skew: anySkew,
    named: fc.nat(3),
    id: anyId,
    low: rarely,
    late: rarely,
    other: rarely,
  })
  .map(({ stray, task, skew, named, id, low, late, other }): Step => (state, seconds) => {
    const task_id = oneOf(readyTasks(state), stray, task);
    const right = find(state, task_id)?.approval?.approval_id ?? approval_id;
    const over = {
      rank: low ? 'E' : 'S',
      approval_id: named === 0 ? id : right,
      ...(late ? { expires_at: at(30) } : {}),
    };
    const command = claim(task_id, Math.max(1, attemptOf(state, task_id) + 1 + skew), over, seconds);
    return { ...command, data: { ...command.data, runner_id: other ? 'runner-2' : 'runner-1' } };
  });
const anyReport = fc
  .record({
    stray: rarely,
    task: anyTask,
    skew: anySkew,
    failed: rarely,
    retryable: fc.constantFrom(true, true, false),
  })
  .map(({ stray, task, skew, failed, retryable }): Step => (state) => {
    const task_id = oneOf(runningTasks(state), stray, task);
    const attempt = Math.max(1, attemptOf(state, task_id) + skew);
    return failed ? fail(task_id, attempt, retryable) : report(task_id, attempt);
  });
const anyRuling = fc
  .record({ id: anyId, stray: rarely, shape: fc.boolean(), refused: rarely })
  .map(({ id, stray, shape, refused }): Step => (state) => {
    const [awaited] = awaitedApprovals(state);
    const asked = stray || !awaited ? id : awaited.approval_id;
    if (refused) return refuse('denied', asked);
    const own = awaited?.task_id === undefined ? {} : { task_id: awaited.task_id, effect_digest };
    return grant({ approval_id: asked, shape, ...own });
  });
const anyRelease = fc.tuple(rarely, anyTask, anySkew).map(([stray, task, skew]): Step => (state) => {
  const task_id = oneOf(runningTasks(state), stray, task);
  return release(task_id, Math.max(1, attemptOf(state, task_id) + skew));
});
const anyGate = fc.tuple(anyTask, anyId).map(
  ([task_id, id]): Step =>
    () =>
      gate(task_id, id),
);
const anyRun = fc.boolean().map((sovereign): Step => (state) => {
  const { effective_rank: rank } = state.plan;
  const outcome = rank === 'A' || rank === 'S' ? 'needs_approval' : 'execute';
  return run({ sovereign, verdict: verdict({ rank, outcome }), approval_id });
});

const anyStep = fc.oneof(
  { weight: 30, arbitrary: anyClaim },
  { weight: 24, arbitrary: anyReport },
  { weight: 10, arbitrary: anyRuling },
  { weight: 4, arbitrary: anyRelease },
  { weight: 6, arbitrary: anyGate },
  { weight: 16, arbitrary: fc.constant<Step>(() => tick(0)) },
  { weight: 4, arbitrary: anyRun },
  { weight: 1, arbitrary: fc.constant<Step>(() => cancel) },
);

const anySetting = fc.constantFrom(...settings);
const anySteps = fc.array(fc.tuple(anyStep, fc.integer({ min: 0, max: 3 })), {
  minLength: 5,
  maxLength: 60,
  size: 'max',
});

/** Any mission of these, then any commands, each made with a look at how it stands. The clock never runs backwards. */
const anyHistory = fc.tuple(anySetting, anySteps).map(([setting, steps]): readonly MissionEvent[] => {
  const events = [...created(setting)];
  let state = fold(events);
  let seconds = 1;
  for (const [step, later] of steps) {
    if (!exists(state)) continue;
    seconds += later;
    const decision = mission.decide({ ...step(state, seconds), time: at(seconds) }, state);
    if (decision.kind === 'rejected') continue;
    events.push(...decision.events);
    state = decision.events.reduce(mission.evolve, state);
  }
  return events;
});

/** Checks every event against the mission as it stood before it. */
const everyEvent = (check: (before: ExistingMission, event: MissionEvent, after: Mission) => void) =>
  fc.assert(
    fc.property(anyHistory, (events) => {
      let state: Mission = mission.initial;
      for (const event of events) {
        const after = mission.evolve(state, event);
        if (exists(state)) check(state, event, after);
        state = after;
      }
    }),
    { numRuns: 300 },
  );

describe('a mission, whatever arrives in whatever order,', () => {
  it('keeps its request and its plan (M1)', () =>
    everyEvent((before, event, after) => {
      expect(event.type).not.toBe('MissionCreated');
      expect(after).toMatchObject({ request: before.request, plan: before.plan });
    }));

  it('starts no task before what it depends on, nor under an expired permit (M3)', () =>
    everyEvent((before, event) => {
      if (event.type !== 'TaskClaimed') return;
      const { task_id, permit } = event.data;
      const claimed = find(before, task_id);
      expect(['queued', 'running', 'verifying']).toContain(before.status);
      expect(claimed?.progress.status).toBe('waiting');
      for (const needed of claimed?.plan.depends_on ?? [])
        expect(find(before, needed)?.progress.status).toBe('completed');
      expect(event.time < permit.claims.expires_at).toBe(true);
    }));

  it('holds nothing ready that could not start now (M3)', () =>
    everyEvent((_, _event, after) => {
      if (!exists(after) || !['queued', 'running', 'verifying'].includes(after.status))
        expect(readyTasks(after)).toEqual([]);
    }));

  it('starts nothing at A or S, and nothing behind a gate, without the grant for it (M4)', () =>
    fc.assert(
      fc.property(anyHistory, (events) => {
        const state = fold(events);
        if (!exists(state)) return;
        const high_rank = ['A', 'S'].includes(state.plan.effective_rank);
        events.forEach((event, index) => {
          if (event.type !== 'TaskClaimed') return;
          const before = events.slice(0, index);
          const { task_id, permit } = event.data;
          const { requires_approval, input } = find(state, task_id)!.plan;
          const whole = before.find((earlier) => earlier.type === 'MissionApproved');
          const own = before.some(
            (earlier) =>
              earlier.type === 'TaskApproved' &&
              earlier.data.task_id === task_id &&
              earlier.data.approval_id === permit.claims.approval_id,
          );
          if (high_rank) expect(whole).toBeDefined();
          const unseen = high_rank && JSON.stringify(input).includes('$output') && whole?.data.shape !== true;
          if (requires_approval || unseen) expect(own).toBe(true);
          else if (high_rank) expect(own || permit.claims.approval_id === whole?.data.approval_id).toBe(true);
        });
      }),
      { numRuns: 400 },
    ));

  it('takes note of grants only for what is awaited (M5)', () =>
    everyEvent((before, event) => {
      if (event.type === 'MissionApproved')
        expect(before).toMatchObject({
          status: 'awaiting_approval',
          approval: { approval_id: event.data.approval_id },
        });
      if (event.type === 'TaskApproved')
        expect(find(before, event.data.task_id)).toMatchObject({
          progress: { status: 'awaiting_approval' },
          approval: { approval_id: event.data.approval_id, effect_digest: event.data.effect_digest },
        });
    }));

  it('numbers its attempts upwards without a gap, and ends each once (M6)', () =>
    fc.assert(
      fc.property(anyHistory, (events) => {
        const last = new Map<string, number>();
        const running = new Map<string, number>();
        for (const event of events) {
          if (event.type === 'TaskClaimed') {
            const { task_id, attempt } = event.data;
            expect(running.has(task_id)).toBe(false);
            expect(attempt).toBe((last.get(task_id) ?? 0) + 1);
            last.set(task_id, attempt);
            running.set(task_id, attempt);
          }
          if (event.type === 'TaskCompleted' || event.type === 'TaskFailed' || event.type === 'TaskReleased') {
            expect(running.get(event.data.task_id)).toBe(event.data.attempt);
            running.delete(event.data.task_id);
          }
        }
      }),
      { numRuns: 300 },
    ));

  it('tries no task more often than its plan allows (M7)', () =>
    everyEvent((before, event, after) => {
      if (!exists(after)) return;
      for (const { tries, plan } of after.tasks) expect(tries).toBeLessThanOrEqual(plan.retry.max_attempts);
      if (event.type === 'TaskReleased')
        expect(find(after, event.data.task_id)?.tries).toBe(find(before, event.data.task_id)?.tries);
    }));

  it('completes only after all tasks, and verifies only when nothing else is left (M8)', () =>
    everyEvent((before, event, after) => {
      const completed = before.tasks.every(({ progress }) => progress.status === 'completed');
      if (event.type === 'MissionCompleted') expect(completed).toBe(true);
      if (exists(after) && after.status === 'verifying')
        for (const { plan, progress } of after.tasks)
          expect(plan.verifies || progress.status === 'completed').toBe(true);
    }));

  it('stays as it ended, with no task left to run (M9)', () =>
    everyEvent((before, event, after) => {
      expect(isTerminal(before) ? event : undefined).toBeUndefined();
      if (!isTerminal(after)) return;
      expect([...runningTasks(after), ...readyTasks(after)]).toEqual([]);
      expect(nextDueAt(after)).toBeUndefined();
    }));

  it('does on a Tick what is due, all of it, and nothing else (M10)', () =>
    fc.assert(
      fc.property(anyHistory, fc.integer({ min: 0, max: 400 }), (events, seconds) => {
        const state = fold(events);
        const due = nextDueAt(state);
        const decision = mission.decide(tick(seconds), state);
        const happened = decision.kind === 'accepted' ? decision.events : [];
        expect(happened.length > 0).toBe(due !== undefined && due <= at(seconds));
        const next = nextDueAt(fold([...events, ...happened]));
        // A try that has just timed out may have no back-off at all: then it is due again at once, as ready.
        const again = happened.some(({ type }) => type === 'TaskFailed');
        if (!again && next !== undefined) expect(next > at(seconds)).toBe(true);
      }),
      { numRuns: 300 },
    ));

  it('repeats nothing that it has accepted (M1, M5)', () =>
    fc.assert(
      fc.property(anyHistory, fc.oneof(anyClaim, anyRuling, anyGate, anyRun), (events, step) => {
        const state = fold(events);
        if (!exists(state)) return;
        const command = { ...step(state, 200), time: at(200) };
        const decision = mission.decide(command, state);
        if (decision.kind === 'rejected') return;
        const again = mission.decide(command, decision.events.reduce(mission.evolve, state));
        expect(again.kind === 'accepted' ? again.events : []).toEqual([]);
      }),
      { numRuns: 300 },
    ));

  it('gets far enough for all this to mean something', () => {
    const runs = fc.sample(anyHistory, { numRuns: 400, seed: 1 });
    const reached = (...types: readonly MissionEvent['type'][]) =>
      runs.filter((events) => types.every((type) => events.some((event) => event.type === type))).length;
    expect(reached('MissionCompleted')).toBeGreaterThan(20);
    expect(reached('MissionApproved', 'TaskClaimed')).toBeGreaterThan(20);
    expect(reached('TaskApproved', 'TaskClaimed')).toBeGreaterThan(10);
    expect(reached('TaskReleased', 'TaskCompleted')).toBeGreaterThan(20);
    expect(reached('TaskFailed', 'TaskReady', 'TaskCompleted')).toBeGreaterThan(10);
    expect(reached('MissionFailed')).toBeGreaterThan(10);
  });
});
