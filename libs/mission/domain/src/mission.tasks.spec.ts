import { describe, expect, it } from '@jest/globals';
import type { MissionEvent } from '@nexusmon/mission-contract';
import { specify } from '@nexusmon/testing';
import { possibleVerbs } from './mission.approvals.js';
import type { CommandOf, MissionCommand, MissionRejection } from './mission.commands.js';
import { mission } from './mission.js';
import {
  actor,
  worker_actor,
  at,
  approval_id,
  task_approval_id,
  other_approval_id,
  plan_digest,
  fingerprint,
  effect_digest,
  task,
  created,
  settled,
  high,
  claim,
  report,
  grant,
  refuse,
  gate,
  said,
  past,
} from './mission.scenes.js';
import { awaitedApprovals, exists } from './mission.state.js';

const { given, fold } = specify(mission);

describe('a mission', () => {
  describe('when a task is claimed', () => {
    const claimed = (command: CommandOf<'ClaimTask'>) =>
      said(command)('TaskClaimed', { ...command.data, attempt: command.data.permit.claims.attempt });
    const refusals = (history: readonly MissionEvent[], command: MissionCommand, rejection: MissionRejection) =>
      given(...history)
        .when(command)
        .thenRejected(rejection);

    it('starts with the first', () =>
      given(...created())
        .when(claim('one'))
        .then(said(claim('one'))('MissionStarted', {}), claimed(claim('one'))));
    it('goes on with the next', () =>
      given(...settled({}, claim('one'), report('one')))
        .when(claim('two'))
        .then(claimed(claim('two'))));
    it('verifies from the start when there is nothing else to do (M8)', () => {
      const only = { tasks: [task('check', { verifies: true })] };
      const say = said(claim('check'));
      given(...created(only))
        .when(claim('check'))
        .then(say('MissionStarted', {}), say('MissionVerifying', {}), claimed(claim('check')));
    });
    it('ignores a repeated claim of the same runner', () =>
      given(...past.running())
        .when(claim('one'))
        .thenNothing());
    it('gives a running task to nobody else', () => {
      const other = claim('one');
      refusals(
        past.running(),
        { ...other, data: { ...other.data, runner_id: 'runner-2' } },
        { code: 'task-not-ready', task_id: 'one', status: 'running' },
      );
    });
    it('does not start before what it depends on (M3)', () =>
      refusals(past.running(), claim('two'), { code: 'task-not-ready', task_id: 'two', status: 'waiting' }));
    it('does not start while its mission may not (M3)', () => {
      refusals(created({ hold: true }), claim('one'), { code: 'task-not-ready', task_id: 'one', status: 'waiting' });
      refusals(created(high), claim('one'), { code: 'task-not-ready', task_id: 'one', status: 'waiting' });
      refusals(created({ outcome: 'blocked' }), claim('one'), {
        code: 'task-not-ready',
        task_id: 'one',
        status: 'waiting',
      });
      refusals(past.cancelled(), claim('one'), { code: 'task-not-ready', task_id: 'one', status: 'cancelled' });
    });
    it('is one of the plan', () => refusals(created(), claim('nine'), { code: 'task-not-found', task_id: 'nine' }));
    it.each([
      ['mission_id', { mission_id: 'msn_0190b6c1-0000-7000-8000-00000000000f' }],
      ['task_id', { task_id: 'two' }],
      ['attempt', { attempt: 2 }],
      ['plan_digest', { plan_digest: fingerprint }],
    ])('does not start under a permit with another %s (M3)', (field, over) =>
      refusals(created(), claim('one', 1, over), { code: 'permit-mismatch', field }),
    );
    it('does not start under a permit for a lower rank (M3)', () =>
      refusals(settled(high, grant()), claim('one', 1, { rank: 'B' }), { code: 'permit-mismatch', field: 'rank' }));
    it('does not start when its permit has expired, to the millisecond (M3)', () => {
      refusals(created(), claim('one', 1, { expires_at: at(1) }), { code: 'permit-expired', expires_at: at(1) });
      expect(settled({}, claim('one', 1, { expires_at: at(1.001) }))).not.toEqual([]);
    });

    it('starts at A under the recorded grant alone (M4)', () => {
      const granted = settled(high, grant());
      refusals(granted, claim('one'), { code: 'grant-required', task_id: 'one', rank: 'A' });
      refusals(granted, claim('one', 1, { approval_id: other_approval_id }), {
        code: 'grant-required',
        task_id: 'one',
        rank: 'A',
      });
      const named = claim('one', 1, { approval_id });
      given(...granted)
        .when(named)
        .then(said(named)('MissionStarted', {}), claimed(named));
    });
    it('does not start at A without a grant even if its log had it queued (M4)', () => {
      const queued = [...created(high), said(claim('one'))('MissionQueued', {})];
      refusals(queued, claim('one', 1, { approval_id }), { code: 'grant-required', task_id: 'one', rank: 'A' });
    });
    it('starts a task with a gate only under a grant of its own (M4)', () => {
      const gated = { tasks: [task('one', { requires_approval: true })] };
      refusals(created(gated), claim('one'), { code: 'grant-required', task_id: 'one', rank: 'E' });
      const asked = settled(gated, gate('one'));
      refusals(asked, claim('one'), { code: 'task-not-ready', task_id: 'one', status: 'awaiting_approval' });
      const granted = settled(
        gated,
        gate('one'),
        grant({ approval_id: task_approval_id, task_id: 'one', effect_digest }),
      );
      refusals(granted, claim('one'), { code: 'grant-required', task_id: 'one', rank: 'E' });
      const named = claim('one', 1, { approval_id: task_approval_id });
      given(...granted)
        .when(named)
        .then(said(named)('MissionStarted', {}), claimed(named));
    });
    it('does not take the grant of the mission for that of a gated task (M4)', () => {
      const gated = { ...high, tasks: [task('one', { requires_approval: true })] };
      refusals(settled(gated, grant()), claim('one', 1, { approval_id }), {
        code: 'grant-required',
        task_id: 'one',
        rank: 'A',
      });
    });
    it('asks again at A for an input that nobody has seen, unless its shape was granted (M4)', () => {
      const named = claim('two', 1, { approval_id });
      const before = [claim('one', 1, { approval_id }), report('one')];
      refusals(settled(high, grant(), ...before), named, { code: 'grant-required', task_id: 'two', rank: 'A' });
      given(...settled(high, grant({ shape: true }), ...before))
        .when(named)
        .then(claimed(named));
      const own = claim('two', 1, { approval_id: task_approval_id });
      const seen = [gate('two'), grant({ approval_id: task_approval_id, task_id: 'two', effect_digest })];
      given(...settled(high, grant(), ...before, ...seen))
        .when(own)
        .then(claimed(own));
    });
  });

  describe('when a task waits for approval', () => {
    const gated = { tasks: [task('one', { requires_approval: true })] };
    const asked = () => settled(gated, gate('one'));
    const own = grant({ approval_id: task_approval_id, task_id: 'one', effect_digest });

    it('says which attempt will need it', () =>
      given(...created(gated))
        .when(gate('one'))
        .then(said(gate('one'))('TaskGated', { ...gate('one').data, attempt: 1 })));
    it('asks once', () =>
      given(...asked())
        .when(gate('one'))
        .thenNothing());
    it('does not ask for a task that cannot start', () =>
      given(...created())
        .when(gate('two'))
        .thenRejected({ code: 'task-not-ready', task_id: 'two', status: 'waiting' }));
    it('takes note of the grant', () =>
      given(...asked())
        .when(own)
        .then(
          said(own)('TaskApproved', {
            task_id: 'one',
            approval_id: task_approval_id,
            granted_by: actor,
            effect_digest,
          }),
        ));
    it('ignores a repeated grant', () =>
      given(...settled(gated, gate('one'), own))
        .when(own)
        .thenNothing());
    it('counts no grant for another effect (M5)', () =>
      given(...asked())
        .when({ ...own, data: { ...own.data, effect_digest: plan_digest } })
        .thenRejected({ code: 'approval-mismatch' }));
    it('counts no grant of another approval (M5)', () =>
      given(...asked())
        .when({ ...own, data: { ...own.data, approval_id } })
        .thenRejected({ code: 'approval-mismatch' }));
    it('knows the tasks of its plan only', () =>
      given(...asked())
        .when({ ...own, data: { ...own.data, task_id: 'nine' } })
        .thenRejected({ code: 'task-not-found', task_id: 'nine' }));
    it('lets its mission be approved, denied or cancelled', () => {
      const state = fold(asked());
      expect(exists(state) && possibleVerbs(state)).toEqual(['approve', 'deny', 'cancel']);
      expect(awaitedApprovals(state)).toEqual([{ approval_id: task_approval_id, task_id: 'one' }]);
    });
    it('ends with its mission when it is denied', () => {
      const denied = refuse('denied', task_approval_id);
      given(...asked())
        .when(denied)
        .then(said(denied)('MissionCancelled', denied.data));
    });
    it('may be asked about again, for another attempt', () => {
      const again = gate('one', other_approval_id);
      given(...settled(gated, gate('one'), own))
        .when(again)
        .then(said(again)('TaskGated', { ...again.data, attempt: 1 }));
    });
  });

  describe('when a task cannot be started', () => {
    const refusal: CommandOf<'RefuseTask'> = {
      type: 'RefuseTask',
      actor: worker_actor,
      time: at(1),
      data: { task_id: 'one', code: 'input_unresolvable', message: 'nothing at /a' },
    };
    it('fails', () =>
      given(...created())
        .when(refusal)
        .then(said(refusal)('MissionFailed', { failure: refusal.data })));
    it('does not fail for a task that is not about to start', () =>
      given(...past.running())
        .when(refusal)
        .thenRejected({ code: 'task-not-ready', task_id: 'one', status: 'running' }));
  });
});
