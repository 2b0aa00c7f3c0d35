import { describe, expect, it } from '@jest/globals';
import { specify } from '@nexusmon/testing';
import { mission } from './mission.js';
import {
  actor,
  approval_id,
  other_approval_id,
  plan_digest,
  fingerprint,
  task,
  verdict,
  create,
  created,
  settled,
  high,
  claim,
  report,
  release,
  tick,
  grant,
  refuse,
  gate,
  cancel,
  run,
  said,
  past,
  type Setting,
} from './mission.scenes.js';
import { readyTasks, runningTasks } from './mission.state.js';

const { given, fold } = specify(mission);

describe('a mission', () => {
  describe('when it is created', () => {
    const opening = (setting: Setting) => {
      const { request, plan, verdict: judged } = create(setting).data;
      const say = said(create());
      const gated = setting.outcome === 'needs_approval' ? { verdict: judged, approval_id } : { verdict: judged };
      return [say('MissionCreated', request), say('MissionPlanned', plan), say('MissionGated', gated)];
    };
    const queued = said(create())('MissionQueued', {});

    it.each(['execute', 'execute_and_flag'] as const)('is queued when the gate says %s', (outcome) =>
      given()
        .when(create({ outcome }))
        .then(...opening({ outcome }), queued),
    );
    it('is held when it is to be', () =>
      given()
        .when(create({ hold: true }))
        .then(...opening({ hold: true }), said(create())('MissionHeld', {})));
    it('waits for the approval that the gate asks for', () => {
      given()
        .when(create(high))
        .then(...opening(high));
      expect(fold(created(high))).toMatchObject({
        status: 'awaiting_approval',
        approval: { status: 'pending', approval_id },
      });
    });
    it('waits for approval also when it is held', () =>
      expect(fold(created({ ...high, hold: true })).status).toBe('awaiting_approval'));
    it('is only suggested when it is blocked', () => {
      given()
        .when(create({ outcome: 'blocked' }))
        .then(...opening({ outcome: 'blocked' }));
      expect(fold(created({ outcome: 'blocked' })).status).toBe('suggested');
    });
    it('ignores a repeated request, even one that was planned anew (M1)', () => {
      const again = create();
      given(...created())
        .when(again)
        .thenNothing();
      given(...created())
        .when({ ...again, data: { ...again.data, plan: { ...again.data.plan, plan_digest: fingerprint } } })
        .thenNothing();
    });
    it('is not created twice (M1)', () => {
      const other = create();
      given(...created())
        .when({ ...other, data: { ...other.data, request: { ...other.data.request, goal: 'another' } } })
        .thenRejected({ code: 'mission-exists' });
    });
    it('does not understate the risk of a task (M2)', () =>
      given()
        .when(create({ tasks: [task('one', { risk_level: 'B' })] }))
        .thenRejected({ code: 'plan-underrated', effective_rank: 'E' }));
    it.each([
      ['mission_id', { mission_id: 'msn_0190b6c1-0000-7000-8000-00000000000f' }],
      ['plan_digest', { plan_digest: fingerprint }],
      ['effective_rank', { effective_rank: 'D' as const }],
    ])('does not believe a verdict with another %s (M2)', (field, claims) =>
      given().when(create({ claims })).thenRejected({ code: 'verdict-mismatch', field }),
    );
    it.each(['A', 'S'] as const)('believes no verdict that would start rank %s (M2)', (rank) => {
      given().when(create({ rank })).thenRejected({ code: 'verdict-mismatch', field: 'outcome' });
      given()
        .when(create({ rank, outcome: 'execute_and_flag' }))
        .thenRejected({ code: 'verdict-mismatch', field: 'outcome' });
    });
    it('cannot wait for an approval without a name', () => {
      const { approval_id: _, ...data } = create(high).data;
      given()
        .when({ ...create(high), data })
        .thenRejected({ code: 'approval-mismatch' });
    });
  });

  describe('that is not there', () => {
    it.each([
      run(),
      grant(),
      refuse('denied'),
      cancel,
      claim('one'),
      gate('one'),
      report('one'),
      release('one'),
      tick(1),
    ])('refuses $type', (command) => given().when(command).thenRejected({ code: 'mission-not-found' }));
  });

  describe('when it is run', () => {
    const held = created({ hold: true });
    const lifted = said(run())('MissionHoldLifted', {});
    const queued = said(run())('MissionQueued', {});
    const gated = (setting: Setting, id?: string) =>
      said(run())('MissionGated', { verdict: verdict(setting), ...(id === undefined ? {} : { approval_id: id }) });

    it('starts from being held, through the gate', () =>
      given(...held)
        .when(run({ verdict: verdict({}) }))
        .then(lifted, gated({}), queued));
    it('needs a fresh verdict for that', () =>
      given(...held)
        .when(run())
        .thenRejected({ code: 'verdict-required' }));
    it('believes no verdict about another plan (M2)', () =>
      given(...held)
        .when(run({ verdict: verdict({ claims: { plan_digest: fingerprint } }) }))
        .thenRejected({ code: 'verdict-mismatch', field: 'plan_digest' }));
    it('waits when the gate now asks for approval', () => {
      const asked = { outcome: 'needs_approval' } as const;
      given(...held)
        .when(run({ verdict: verdict(asked), approval_id }))
        .then(lifted, gated(asked, approval_id));
      given(...held)
        .when(run({ verdict: verdict(asked) }))
        .thenRejected({ code: 'approval-mismatch' });
    });
    it('is suggested when the gate now blocks it', () =>
      given(...held)
        .when(run({ verdict: verdict({ outcome: 'blocked' }) }))
        .then(lifted, gated({ outcome: 'blocked' })));
    it('needs no second approval', () =>
      given(...settled({ ...high, hold: true }, grant()))
        .when(run({ verdict: verdict(high), approval_id: other_approval_id }))
        .then(lifted, gated(high), queued));
    it('needs the operator key while approval is awaited', () =>
      given(...created(high))
        .when(run())
        .thenRejected({ code: 'operator-key-required' }));
    it('leaves the grant to governance when it has the key', () =>
      given(...created(high))
        .when(run({ sovereign: true }))
        .thenNothing());
    it('is no longer held when it has the key, so that the grant starts it', () => {
      const wants = { ...high, hold: true };
      given(...created(wants))
        .when(run({ sovereign: true }))
        .then(lifted);
      expect(fold(settled(wants, run({ sovereign: true }), grant())).status).toBe('queued');
    });
    it('stays suggested', () =>
      given(...created({ outcome: 'blocked' }))
        .when(run({ verdict: verdict({}) }))
        .thenRejected({ code: 'illegal-transition', status: 'suggested', possible: ['cancel'] }));
    it.each(Object.entries(past))('changes nothing when it is %s', (_, history) =>
      given(...history())
        .when(run())
        .thenNothing(),
    );
  });

  describe('when its approval is granted', () => {
    const approved = said(grant())('MissionApproved', { approval_id, granted_by: actor, shape: false, plan_digest });

    it('is queued', () =>
      given(...created(high))
        .when(grant())
        .then(approved, said(grant())('MissionQueued', {})));
    it('stays accepted while it is held', () => {
      given(...created({ ...high, hold: true }))
        .when(grant())
        .then(approved, said(grant())('MissionHeld', {}));
      expect(fold(settled({ ...high, hold: true }, grant())).status).toBe('accepted');
    });
    it('ignores a repeated grant', () =>
      given(...settled(high, grant()))
        .when(grant())
        .thenNothing());
    it('counts no grant for another approval (M5)', () =>
      given(...created(high))
        .when(grant({ approval_id: other_approval_id }))
        .thenRejected({ code: 'approval-mismatch' }));
    it('counts no grant for another plan (M5)', () =>
      given(...created(high))
        .when(grant({ plan_digest: fingerprint }))
        .thenRejected({ code: 'approval-mismatch' }));
    it('says what is possible when nothing is awaited', () =>
      given(...created())
        .when(grant())
        .thenRejected({ code: 'illegal-transition', status: 'queued', possible: ['cancel'] }));
    it('does not come back after it was cancelled (M9)', () =>
      given(...settled(high, cancel))
        .when(grant())
        .thenRejected({ code: 'illegal-transition', status: 'cancelled', possible: [] }));
  });

  describe('when its approval is refused', () => {
    it.each(['denied', 'expired', 'withdrawn'] as const)('is cancelled: %s', (outcome) => {
      given(...created(high))
        .when(refuse(outcome))
        .then(said(refuse(outcome))('MissionCancelled', refuse(outcome).data));
      expect(fold(settled(high, refuse(outcome)))).toMatchObject({
        status: 'cancelled',
        approval: { status: 'refused', outcome },
        reason: 'no',
      });
    });
    it('ignores a repeated refusal', () =>
      given(...settled(high, refuse('denied')))
        .when(refuse('denied'))
        .thenNothing());
    it('counts no refusal of another approval (M5)', () =>
      given(...created(high))
        .when(refuse('denied', other_approval_id))
        .thenRejected({ code: 'approval-mismatch' }));
    it('goes on when it is running by then', () =>
      given(...settled(high, grant()))
        .when(refuse('denied'))
        .thenRejected({ code: 'illegal-transition', status: 'queued', possible: ['cancel'] }));
  });

  describe('when it is cancelled', () => {
    const cancelled = said(cancel)('MissionCancelled', { outcome: 'cancelled', reason: 'changed my mind' });
    it.each([
      ['accepted', created({ hold: true })],
      ['awaiting approval', created(high)],
      ['suggested', created({ outcome: 'blocked' })],
      ['queued', past.queued()],
      ['running', past.running()],
    ])('ends while it is %s', (_, history) =>
      given(...history)
        .when(cancel)
        .then(cancelled),
    );
    it('leaves no task running (M9)', () => {
      const state = fold(settled({}, claim('one'), cancel));
      expect(runningTasks(state)).toEqual([]);
      expect(readyTasks(state)).toEqual([]);
    });
    it('ignores a second time', () =>
      given(...past.cancelled())
        .when(cancel)
        .thenNothing());
    it.each(['completed', 'failed'] as const)('stays %s (M9)', (status) =>
      given(...past[status]())
        .when(cancel)
        .thenRejected({ code: 'illegal-transition', status, possible: [] }),
    );
  });
});
