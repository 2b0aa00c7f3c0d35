import { describe, expect, it } from '@jest/globals';
import { missionDocument, type MissionEvent } from '@nexusmon/mission-contract';
import { specify } from '@nexusmon/testing';
import { toDocument } from './mission.document.js';
import { mission } from './mission.js';
import {
  approval_id,
  at,
  cancel,
  claim,
  created,
  everyTaskDone,
  fail,
  grant,
  high,
  mission_id,
  past,
  refuse,
  report,
  settled,
  task,
  type Setting,
} from './mission.scenes.js';
import { exists } from './mission.state.js';

const { fold } = specify(mission);

const documentOf = (events: readonly MissionEvent[]) => {
  const state = fold(events);
  if (!exists(state)) throw new Error('no mission');
  return missionDocument.parse(toDocument(state));
};

describe('a mission document', () => {
  it.each([
    ['accepted', created({ hold: true })],
    ['awaiting_approval', created(high)],
    ['suggested', created({ outcome: 'blocked' })],
    ['queued', past.queued()],
    ['running', past.running()],
    ['verifying', settled({}, ...everyTaskDone.slice(0, 4))],
    ['completed', past.completed()],
    ['failed', past.failed()],
    ['cancelled', past.cancelled()],
  ] as const)('is of its schema when %s', (status, events) => expect(documentOf(events).status).toBe(status));

  it('leaves out what is not there yet', () => {
    const document = documentOf(past.queued());
    for (const field of ['started_at', 'ended_at', 'result', 'error', 'template', 'reason'])
      expect(document).not.toHaveProperty(field);
    expect(document.tasks[0]).not.toHaveProperty('output');
  });

  it('says where everything else about it is', () =>
    expect(documentOf(past.queued()).links).toEqual({
      self: `/v1/engine/missions/${mission_id}`,
      events: `/v1/engine/missions/${mission_id}/events`,
      artifacts: `/v1/vault/artifacts?mission_id=${mission_id}`,
    }));

  it('tells ready tasks from those that wait', () =>
    expect(documentOf(past.queued()).tasks.map(({ status }) => status)).toEqual(['ready', 'waiting', 'waiting']));

  it('shows what a task did, and when', () =>
    expect(documentOf(settled({}, claim('one'), report('one'))).tasks[0]).toMatchObject({
      status: 'completed',
      attempt: 1,
      output: 'one',
      started_at: at(1),
      ended_at: at(2),
    }));

  it('shows what went wrong, until it went right', () => {
    expect(documentOf(settled({}, claim('one'), fail('one'))).tasks[0]).toMatchObject({
      status: 'backing_off',
      retry_at: at(3),
      error: { code: 'worker_failed', message: 'broken' },
    });
    const retried = [claim('one'), fail('one'), { ...cancel, type: 'Tick' as const, time: at(3), data: {} }];
    const done = documentOf(settled({}, ...retried, claim('one', 2, {}, 4), report('one', 2, 5)));
    expect(done.tasks[0]).not.toHaveProperty('error');
    expect(documentOf(past.failed()).error).toEqual({ code: 'task_failed', message: 'broken', task_id: 'one' });
  });

  it('gives the output of the last task that did work, not of those that checked it', () =>
    expect(documentOf(past.completed()).result).toMatchObject({ kind: 'outputs', fulfilled: true, output: 'two' }));

  it('gives the outputs by task when there are several', () => {
    const both: Setting = { tasks: [task('one'), task('two')] };
    const done = [claim('one'), claim('two'), report('one'), report('two')];
    expect(documentOf(settled(both, ...done)).result?.output).toEqual({ one: 'one', two: 'two' });
  });

  it('gives what a plan of nothing but checks found', () => {
    const only: Setting = { tasks: [task('check', { verifies: true })] };
    expect(documentOf(settled(only, claim('check'), report('check'))).result?.output).toBe('check');
  });

  it('says who granted it', () =>
    expect(documentOf(settled(high, grant())).decision).toMatchObject({
      outcome: 'needs_approval',
      approval_id,
      outcome_of_approval: 'granted',
      granted_by: 'operator:ada',
    }));

  it.each(['denied', 'expired', 'withdrawn'] as const)('says that it was %s, and what the gate had said', (outcome) =>
    expect(documentOf(settled(high, refuse(outcome)))).toMatchObject({
      status: 'cancelled',
      reason: 'no',
      decision: { outcome, gate_outcome: 'needs_approval', approval_id },
    }),
  );
});
