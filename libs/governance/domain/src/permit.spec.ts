import { describe, expect, it } from '@jest/globals';
import type { ApprovalEvent, PermitRequest } from '@nexusmon/governance-contract';
import type { Rank } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { approval, type Approval } from './approval.js';
import { permitRuling } from './permit.js';
import { FIRST_POLICY } from './policy.js';

const [mission_id, whole, own] = [
  'msn_0190b6c1-0000-7000-8000-000000000001',
  'apr_0190b6c1-0000-7000-8000-000000000002',
  'apr_0190b6c1-0000-7000-8000-000000000003',
];
const [plan_digest, effect_digest, other_digest] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
const by = { actor: 'operator:ada', time: '2026-01-01T12:00:00.000Z' };

const requestOf = (rank: Rank, over: Partial<PermitRequest> = {}) => ({
  effect: {
    mission_id,
    task_id: 'one',
    attempt: 1,
    worker: 'system.echo',
    worker_version: '1.0.0',
    worker_digest: plan_digest,
    input_digest: plan_digest,
    limits: { timeout_seconds: 1, output_bytes_max: 1 },
    egress: [] as string[],
    rank,
  },
  plan_digest,
  effect_digest,
  task_gate: false,
  derived_input: false,
  ...over,
});

const asked = (approval_id: string, over: object = {}): ApprovalEvent => ({
  type: 'ApprovalRequested',
  ...by,
  data: {
    approval_id,
    mission_id,
    plan_digest,
    rank: 'S',
    requested_by: by.actor,
    reasons: [],
    summary: 'what will run',
    derived_inputs: [],
    expires_at: '2026-01-02T12:00:00.000Z',
    cooling_off_seconds: 0,
    ...over,
  },
});
const granted = (shape = false): ApprovalEvent => ({
  type: 'ApprovalGranted',
  ...by,
  data: { granted_by: by.actor, shape },
});
const denied: ApprovalEvent = { type: 'ApprovalDenied', ...by, data: { denied_by: by.actor, reason: 'no' } };
const known = (
  ...approvals: readonly (readonly [ApprovalEvent, ...ApprovalEvent[]])[]
): ReadonlyMap<string, Approval> =>
  new Map(
    approvals.map((events) => [
      events[0].type === 'ApprovalRequested' ? events[0].data.approval_id : '',
      events.reduce(approval.evolve, approval.initial),
    ]),
  );
const forTask = (over: object = {}) => asked(own, { task_id: 'one', effect_digest, ...over });
const rule = (
  request: ReturnType<typeof requestOf>,
  ...approvals: readonly (readonly [ApprovalEvent, ...ApprovalEvent[]])[]
) => permitRuling(request, known(...approvals), FIRST_POLICY);
const missing = { kind: 'refused', code: 'approval-missing' };

describe('a permit', () => {
  it.each<Rank>(['E', 'D', 'C', 'B'])('needs no approval at %s, derived input or not', (rank) => {
    expect(rule(requestOf(rank))).toEqual({ kind: 'permitted' });
    expect(rule(requestOf(rank, { derived_input: true }))).toEqual({ kind: 'permitted' });
  });
  it('names the grant of the mission where there is one', () =>
    expect(rule(requestOf('B', { approval_id: whole }), [asked(whole), granted()])).toEqual({
      kind: 'permitted',
      approval_id: whole,
    }));

  describe.each<Rank>(['A', 'S'])('at %s', (rank) => {
    const request = requestOf(rank, { approval_id: whole });
    it('rests on the grant of the mission (T1)', () => {
      expect(rule(request, [asked(whole), granted()])).toEqual({ kind: 'permitted', approval_id: whole });
      expect(rule(requestOf(rank), [asked(whole), granted()])).toMatchObject(missing);
      expect(rule(request)).toMatchObject(missing);
      expect(rule(request, [asked(whole)])).toMatchObject(missing);
      expect(rule(request, [asked(whole), denied])).toMatchObject(missing);
    });
    it('takes no grant of another mission, plan or task (T1)', () => {
      const other_mission = { mission_id: 'msn_0190b6c1-0000-7000-8000-00000000000f' };
      expect(rule(request, [asked(whole, other_mission), granted()])).toMatchObject(missing);
      expect(rule(request, [asked(whole, { plan_digest: other_digest }), granted()])).toMatchObject(missing);
      expect(rule(request, [asked(whole, { task_id: 'one' }), granted()])).toMatchObject(missing);
    });
    it('does not rest on leave that was asked for at a lower rank (T1)', () => {
      expect(rule(request, [asked(whole, { rank: 'B' }), granted()])).toMatchObject(missing);
    });

    it('asks again for an input that nobody saw, unless its shape was granted (T3)', () => {
      const derived = { ...request, derived_input: true };
      expect(rule(derived, [asked(whole), granted()])).toEqual({ kind: 'needs_approval', why: 'derived_input' });
      expect(rule(derived, [asked(whole), granted(true)])).toEqual({ kind: 'permitted', approval_id: whole });
      const seen = { ...derived, task_approval_id: own };
      expect(rule(seen, [asked(whole), granted()], [forTask(), granted()])).toEqual({
        kind: 'permitted',
        approval_id: own,
      });
      expect(rule(seen, [forTask(), granted()])).toMatchObject(missing);
    });
  });

  it('needs the grant of the task where there is a gate, for this very effect (T2)', () => {
    const gated = requestOf('E', { task_gate: true, task_approval_id: own });
    const why = { kind: 'needs_approval', why: 'task_gate' };
    expect(rule(requestOf('E', { task_gate: true }))).toEqual(why);
    expect(rule(gated)).toEqual(why);
    expect(rule(gated, [forTask()])).toEqual(why);
    expect(rule(gated, [forTask({ effect_digest: other_digest }), granted()])).toEqual(why);
    expect(rule(gated, [forTask({ task_id: 'two' }), granted()])).toEqual(why);
    expect(rule(gated, [forTask({ plan_digest: other_digest }), granted()])).toEqual(why);
    expect(rule(gated, [forTask(), granted()])).toEqual({ kind: 'permitted', approval_id: own });
  });
  it('does not take the grant of a shape for that of a gate (T2)', () =>
    expect(rule(requestOf('A', { approval_id: whole, task_gate: true }), [asked(whole), granted(true)])).toEqual({
      kind: 'needs_approval',
      why: 'task_gate',
    }));

  it('is refused for a rank that the policy does not know, or blocks (T4)', () => {
    expect(rule(requestOf('Z' as Rank))).toMatchObject({ kind: 'refused', code: 'rank-unknown' });
    const ranks = { ...FIRST_POLICY.ranks, E: { ...FIRST_POLICY.ranks.E, outcome: 'blocked' as const } };
    expect(permitRuling(requestOf('E'), new Map(), { ...FIRST_POLICY, ranks })).toMatchObject({ kind: 'refused' });
  });

  it('never opens A or S without a grant that stands, whatever is asked (T1)', () => {
    const anyApproval = fc.constantFrom<readonly ApprovalEvent[]>([], [denied], [granted()], [granted(true)]);
    fc.assert(
      fc.property(
        fc.constantFrom<Rank>('A', 'S'),
        anyApproval,
        anyApproval,
        fc.boolean(),
        fc.boolean(),
        (rank, of_whole, of_task, task_gate, derived_input) => {
          const request = requestOf(rank, { approval_id: whole, task_approval_id: own, task_gate, derived_input });
          const ruling = rule(request, [asked(whole), ...of_whole], [forTask(), ...of_task]);
          if (ruling.kind !== 'permitted') return;
          expect(of_whole.at(-1)?.type).toBe('ApprovalGranted');
          if (task_gate) expect(of_task.at(-1)?.type).toBe('ApprovalGranted');
        },
      ),
    );
  });

  describe('to reach outside', () => {
    const listed = 'https://example.org:443';
    const policy = { ...FIRST_POLICY, egress: [listed] };
    const reaching = (...egress: string[]) => {
      const request = requestOf('C');
      return { ...request, effect: { ...request.effect, egress } };
    };
    const none = new Map<string, Approval>();

    it('is given for what the policy lists (T5)', () =>
      expect(permitRuling(reaching(listed), none, policy)).toEqual({ kind: 'permitted' }));

    it.each([['https://evil.example:443'], ['http://example.org:443'], ['*'], ['']])(
      'is refused for %j beside it, and by name (T5)',
      (place) =>
        expect(permitRuling(reaching(listed, place), none, policy)).toEqual({
          kind: 'refused',
          code: 'egress-not-allowed',
          detail: `policy-1 does not list ${place}`,
        }),
    );

    it('is refused by the first policy, which lists nothing (T5)', () =>
      expect(permitRuling(reaching(listed), none, FIRST_POLICY)).toMatchObject({ code: 'egress-not-allowed' }));

    it('is not what a grant gives (T5)', () => {
      const approvals = known([asked(whole), granted(true)]);
      const request = requestOf('A', { approval_id: whole });
      const effect = { ...request.effect, egress: ['https://evil.example:443'] };
      expect(permitRuling({ ...request, effect }, approvals, policy)).toMatchObject({ code: 'egress-not-allowed' });
    });
  });
});
