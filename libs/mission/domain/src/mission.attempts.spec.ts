import { describe, expect, it } from '@jest/globals';
import { specify } from '@nexusmon/testing';
import { nextDueAt } from './mission.attempts.js';
import type { CommandOf, MissionCommand } from './mission.commands.js';
import { mission } from './mission.js';
import {
  at,
  fingerprint,
  task,
  created,
  settled,
  high,
  claim,
  report,
  fail,
  release,
  tick,
  cancel,
  said,
  everyTaskDone,
  past,
} from './mission.scenes.js';
import { exists, readyTasks } from './mission.state.js';

const { given, fold } = specify(mission);

describe('a mission', () => {
  describe('when a task is reported', () => {
    const done = (command: CommandOf<'ReportTask'>, task_id: string, attempt = 1) =>
      said(command)('TaskCompleted', { task_id, attempt, output: task_id, artifacts: [], duration_ms: 5 });
    const artifact = {
      artifact_id: 'art_0190b6c1-0000-7000-8000-000000000009',
      name: 'report.md',
      sha256: fingerprint,
      size: 1,
      media_type: 'text/markdown',
    };

    it('takes the result', () =>
      given(...past.running())
        .when(report('one'))
        .then(done(report('one'), 'one')));
    it('verifies when only verifying tasks are left (M8)', () =>
      given(...settled({}, claim('one'), report('one'), claim('two')))
        .when(report('two'))
        .then(done(report('two'), 'two'), said(report('two'))('MissionVerifying', {})));
    it('completes with the last, and tells what others count by (M8)', () =>
      given(...settled({}, ...everyTaskDone.slice(0, -1)))
        .when(report('check'))
        .then(
          done(report('check'), 'check'),
          said(report('check'))('MissionCompleted', {
            result: { kind: 'outputs', fulfilled: true, artifacts: [] },
            verified: true,
            fingerprint,
            category: 'forge',
            effective_rank: 'E',
          }),
        ));
    it('lists the artifacts of all its tasks', () => {
      const command = report('one');
      const result = { outcome: 'completed' as const, output: 1, artifacts: [artifact], duration_ms: 1 };
      const state = fold(
        settled({ tasks: [task('one')] }, claim('one'), { ...command, data: { ...command.data, result } }),
      );
      expect(state).toMatchObject({ status: 'completed', result: { artifacts: [artifact] } });
    });
    it('has answered a free goal with a brief, and not fulfilled it', () =>
      expect(fold(settled({ plan_source: 'planner' }, ...everyTaskDone))).toMatchObject({
        status: 'completed',
        result: { kind: 'brief', fulfilled: false },
      }));
    it('accepts a result once (M6)', () =>
      given(...settled({}, claim('one'), report('one')))
        .when(report('one'))
        .thenRejected({ code: 'stale-attempt', task_id: 'one', attempt: 1 }));
    it('fences off an attempt that was given up (M6)', () => {
      const history = settled({}, claim('one'), release('one'), claim('one', 2));
      given(...history)
        .when(report('one', 1))
        .thenRejected({ code: 'stale-attempt', task_id: 'one', attempt: 2 });
      given(...history)
        .when(report('one', 2))
        .then(done(report('one', 2), 'one', 2));
    });
    it('accepts nothing for a task that was never claimed (M6)', () =>
      given(...created())
        .when(report('one'))
        .thenRejected({ code: 'stale-attempt', task_id: 'one', attempt: 0 }));
    it('accepts nothing after its end (M9)', () =>
      given(...settled({}, claim('one'), cancel))
        .when(report('one'))
        .thenRejected({ code: 'stale-attempt', task_id: 'one', attempt: 1 }));
    it('knows the tasks of its plan only', () =>
      given(...created())
        .when(report('nine'))
        .thenRejected({ code: 'task-not-found', task_id: 'nine' }));
  });

  describe('when a task fails', () => {
    const failed = (command: CommandOf<'ReportTask'>, task_id: string, attempt: number, retry_at?: string) =>
      said(command)('TaskFailed', {
        task_id,
        attempt,
        code: 'worker_failed',
        message: 'broken',
        duration_ms: 5,
        ...(retry_at === undefined ? {} : { retry_at }),
      });
    const dead = (
      command: CommandOf<'ReportTask'>,
      task_id: string,
      attempt: number,
      tries: number,
      code: 'task_failed' | 'verification_failed',
    ) => [
      failed(command, task_id, attempt),
      said(command)('TaskDeadLettered', { task_id, attempt, tries, code: 'worker_failed' }),
      said(command)('MissionFailed', { failure: { code, message: 'broken', task_id } }),
    ];

    it('tries again after its back-off', () =>
      given(...past.running())
        .when(fail('one'))
        .then(failed(fail('one'), 'one', 1, at(3))));
    it('waits twice as long each time, and never more than a minute', () => {
      const often = { tasks: [task('one', { retry: { max_attempts: 20, backoff_seconds: 20 } })] };
      const first = settled(often, claim('one'), fail('one'), tick(22), claim('one', 2, {}, 22));
      const again = fail('one', 2, true, 'worker_failed', 30);
      given(...first)
        .when(again)
        .then(failed(again, 'one', 2, at(70)));
      const second = [...first, failed(again, 'one', 2, at(70))];
      const third = [
        ...second,
        said(tick(70))('TaskReady', { task_id: 'one' }),
        said(claim('one', 3, {}, 70))('TaskClaimed', { ...claim('one', 3, {}, 70).data, attempt: 3 }),
      ];
      const last = fail('one', 3, true, 'worker_failed', 71);
      given(...third)
        .when(last)
        .then(failed(last, 'one', 3, at(131)));
    });
    it('fails when its tries are used up (M7)', () => {
      const history = settled({}, claim('one'), fail('one'), tick(3), claim('one', 2, {}, 3));
      const last = fail('one', 2, true, 'worker_failed', 4);
      given(...history)
        .when(last)
        .then(...dead(last, 'one', 2, 2, 'task_failed'));
    });
    it('fails at once when another try cannot help', () =>
      given(...past.running())
        .when(fail('one', 1, false))
        .then(...dead(fail('one', 1, false), 'one', 1, 1, 'task_failed')));
    it('says so when it was not verified', () => {
      const history = settled({}, ...everyTaskDone.slice(0, -1));
      given(...history)
        .when(fail('check', 1, false))
        .then(...dead(fail('check', 1, false), 'check', 1, 1, 'verification_failed'));
    });
    it('leaves no task running or waiting (M9)', () => {
      const two = { tasks: [task('one'), task('two')] };
      const state = fold(settled(two, claim('one'), claim('two'), fail('one', 1, false)));
      expect(exists(state) ? state.tasks.map(({ progress }) => progress.status) : []).toEqual(['failed', 'cancelled']);
    });
    it('is not claimed again before its back-off is over', () =>
      given(...settled({}, claim('one'), fail('one')))
        .when(claim('one', 2))
        .thenRejected({ code: 'task-not-ready', task_id: 'one', status: 'backing_off' }));
  });

  describe('when an attempt is lost', () => {
    const released = (
      command: MissionCommand,
      why: 'lease_expired' | 'runner_lost' | 'permit_invalid',
      attempt: number,
      retry_at?: string,
    ) =>
      said(command)('TaskReleased', { task_id: 'one', attempt, why, ...(retry_at === undefined ? {} : { retry_at }) });

    it('uses no try up, and can be claimed again at once under the next number (M7)', () => {
      given(...past.running())
        .when(release('one'))
        .then(released(release('one'), 'lease_expired', 1));
      const state = fold(settled({}, claim('one'), release('one')));
      expect(readyTasks(state)).toMatchObject([{ attempt: 1, tries: 0 }]);
      given(...settled({}, claim('one'), release('one')))
        .when(claim('one', 1))
        .thenRejected({ code: 'permit-mismatch', field: 'attempt' });
    });
    it('waits when it is lost again and again', () => {
      const history = settled({}, claim('one'), release('one'), claim('one', 2));
      given(...history)
        .when(release('one', 2))
        .then(released(release('one'), 'lease_expired', 2, at(3)));
    });
    it.each([
      ['runner_lost', undefined],
      ['permit_invalid', at(3)],
    ] as const)('uses no try up when the runner says %s (M7)', (code, retry_at) =>
      given(...past.running())
        .when(fail('one', 1, true, code))
        .then(released(fail('one'), code, 1, retry_at)),
    );
    it('is not given up twice (M6)', () =>
      given(...settled({}, claim('one'), release('one')))
        .when(release('one'))
        .thenRejected({ code: 'stale-attempt', task_id: 'one', attempt: 1 }));
  });

  describe('as time passes', () => {
    it('has nothing due before it starts', () => {
      given(...created({ max_time_seconds: 1 }))
        .when(tick(9_999))
        .thenNothing();
      given(...created(high))
        .when(tick(9_999))
        .thenNothing();
      expect(nextDueAt(fold(created({ max_time_seconds: 1 })))).toBeUndefined();
    });
    it('makes a task ready when its back-off is over, and not before (M10)', () => {
      const history = settled({}, claim('one'), fail('one'));
      given(...history)
        .when(tick(2.999))
        .thenNothing();
      given(...history)
        .when(tick(3))
        .then(said(tick(3))('TaskReady', { task_id: 'one' }));
      given(...history, said(tick(3))('TaskReady', { task_id: 'one' }))
        .when(tick(4))
        .thenNothing();
    });
    it('gives an attempt up after its deadline and a little grace (M10)', () => {
      const data = {
        task_id: 'one',
        attempt: 1,
        code: 'worker_timed_out' as const,
        message: `no result by its deadline ${at(11)}`,
      };
      given(...past.running())
        .when(tick(15.999))
        .thenNothing();
      given(...past.running())
        .when(tick(16))
        .then(said(tick(16))('TaskFailed', { ...data, retry_at: at(17) }));
    });
    it('counts a time-out as a try (M7)', () => {
      const once = { tasks: [task('one', { retry: { max_attempts: 1, backoff_seconds: 1 } })] };
      expect(fold(settled(once, claim('one'), tick(16)))).toMatchObject({
        status: 'failed',
        failure: { code: 'task_failed', task_id: 'one' },
      });
    });
    it('does everything that is due, until that ends it (M9)', () => {
      const once = { retry: { max_attempts: 1, backoff_seconds: 1 } };
      const claims = [claim('one'), claim('two')];
      const two = { tasks: [task('one', once), task('two', once)] };
      const happened = settled(two, ...claims, tick(16)).slice(settled(two, ...claims).length);
      expect(happened.map(({ type }) => type)).toEqual(['TaskFailed', 'TaskDeadLettered', 'MissionFailed']);
      const ready = settled(
        { tasks: [task('one'), task('two')] },
        claim('one'),
        claim('two'),
        fail('one'),
        fail('two'),
        tick(3),
      );
      expect(readyTasks(fold(ready))).toHaveLength(2);
    });
    it('fails when it has taken longer than it may (M10)', () => {
      const history = settled({ max_time_seconds: 30 }, claim('one'), report('one'));
      const failure = { code: 'constraint_exceeded' as const, message: 'not finished within 30 s of its start' };
      given(...history)
        .when(tick(30.999))
        .thenNothing();
      given(...history)
        .when(tick(31))
        .then(said(tick(31))('MissionFailed', { failure }));
    });
    it.each(['completed', 'failed', 'cancelled'] as const)('has nothing due once it is %s (M9)', (status) => {
      given(...past[status]())
        .when(tick(99_999))
        .thenNothing();
      expect(nextDueAt(fold(past[status]()))).toBeUndefined();
    });
    it('says when it next wants to be told', () => {
      expect(nextDueAt(fold(past.running()))).toBe(at(16));
      expect(nextDueAt(fold(settled({}, claim('one'), fail('one'))))).toBe(at(3));
      expect(nextDueAt(fold(settled({ max_time_seconds: 10 }, claim('one'))))).toBe(at(11));
      expect(nextDueAt(fold(settled({}, claim('one'), release('one'))))).toBeUndefined();
    });
  });
});
