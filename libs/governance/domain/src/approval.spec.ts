import { describe, expect, it } from '@jest/globals';
import { approvalDocument, type ApprovalEvent } from '@nexusmon/governance-contract';
import { secondsAfter } from '@nexusmon/kernel';
import type { Rank } from '@nexusmon/shared-contract';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { approval, nextDueAt, toDocument, type ApprovalCommand, type Approval } from './approval.js';

const { given, history, fold } = specify(approval);

const [ada, bob, clock] = ['operator:ada', 'operator:bob', 'service:clock'];
const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
const EXPIRES = 3_600;
const [approval_id, mission_id] = [
  'apr_0190b6c1-0000-7000-8000-000000000001',
  'msn_0190b6c1-0000-7000-8000-000000000002',
];

const shown = (rank: Rank = 'B', cooling_off_seconds = 0) => ({
  approval_id,
  mission_id,
  plan_digest: 'a'.repeat(64),
  rank,
  requested_by: ada,
  reasons: ['rank'],
  summary: 'three tasks',
  derived_inputs: [],
  cooling_off_seconds,
});
const request = (rank: Rank = 'B', cooling = 0): ApprovalCommand => ({
  type: 'RequestApproval',
  actor: 'service:mission',
  time: at(0),
  data: { ...shown(rank, cooling), expires_seconds: EXPIRES },
});
type Grant = Extract<ApprovalCommand, { type: 'GrantApproval' }>;
const grant = (data: Partial<Grant['data']> = {}, seconds = 1, actor = bob): Grant => ({
  type: 'GrantApproval',
  actor,
  time: at(seconds),
  data: { shape: false, sovereign: false, ...data },
});
const deny = (seconds = 1, actor = bob): ApprovalCommand => ({
  type: 'DenyApproval',
  actor,
  time: at(seconds),
  data: { reason: 'too risky' },
});
const withdraw = (seconds = 1, actor = ada): ApprovalCommand => ({
  type: 'WithdrawApproval',
  actor,
  time: at(seconds),
  data: {},
});
const tick = (seconds: number): ApprovalCommand => ({ type: 'Tick', actor: clock, time: at(seconds), data: {} });
const full = { sovereign: true, reason: 'needed' };

const requested = (rank: Rank = 'B', cooling = 0): ApprovalEvent => ({
  type: 'ApprovalRequested',
  actor: 'service:mission',
  time: at(0),
  data: { ...shown(rank, cooling), expires_at: at(EXPIRES) },
});
const granted = (over: object = {}, seconds = 1, actor = bob, granted_by = bob): ApprovalEvent => ({
  type: 'ApprovalGranted',
  actor,
  time: at(seconds),
  data: { granted_by, shape: false, ...over },
});
const cooling: ApprovalEvent = {
  type: 'ApprovalCoolingOff',
  actor: bob,
  time: at(1),
  data: { granted_by: bob, shape: false, reason: 'needed', effective_at: at(11) },
};
const denied = (seconds = 1): ApprovalEvent => ({
  type: 'ApprovalDenied',
  actor: bob,
  time: at(seconds),
  data: { denied_by: bob, reason: 'too risky' },
});
const withdrawn = (seconds = 1, actor = ada): ApprovalEvent => ({
  type: 'ApprovalWithdrawn',
  actor,
  time: at(seconds),
  data: { withdrawn_by: actor },
});
const expired = (seconds: number, actor = clock): ApprovalEvent => ({
  type: 'ApprovalExpired',
  actor,
  time: at(seconds),
  data: {},
});

describe('an approval', () => {
  it('opens on request, and says until when', () => given().when(request()).then(requested()));
  it('is asked for once (A6)', () => given(requested()).when(request()).thenNothing());
  it('is not asked for something else', () => {
    const other = request();
    const data = { ...shown(), plan_digest: 'b'.repeat(64), expires_seconds: EXPIRES };
    given(requested())
      .when({ ...other, data } as ApprovalCommand)
      .thenRejected({ code: 'approval-exists' });
  });
  it.each([grant(), deny(), withdraw(), tick(1)])('refuses $type before it is there', (command) =>
    given().when(command).thenRejected({ code: 'approval-not-found' }),
  );

  it('is granted by an operator', () => given(requested()).when(grant()).then(granted()));
  it('may be granted by whoever asked', () =>
    given(requested())
      .when(grant({}, 1, ada))
      .then(granted({}, 1, ada, ada)));
  it('keeps the shape and the reason', () =>
    given(requested())
      .when(grant({ shape: true, reason: 'fine' }))
      .then(granted({ shape: true, reason: 'fine' })));
  it('ignores a repeated grant (A6)', () => given(requested(), granted()).when(grant()).thenNothing());
  it('is denied with a reason', () => given(requested()).when(deny()).then(denied()));
  it('ignores a repeated denial (A6)', () => given(requested(), denied()).when(deny()).thenNothing());
  it.each(['operator:bob', ada, 'service:mission'])('is withdrawn by %s', (actor) =>
    given(requested()).when(withdraw(1, actor)).then(withdrawn(1, actor)),
  );
  it('ignores a repeated withdrawal (A6)', () => given(requested(), withdrawn()).when(withdraw()).thenNothing());

  it.each(['token:abc', 'plugin:abc', 'service:mission', 'channel:slack'])('is not ruled on by %s (A2)', (actor) => {
    given(requested())
      .when(grant(full, 1, actor))
      .thenRejected({ code: 'operator-required' });
    given(requested()).when(deny(1, actor)).thenRejected({ code: 'operator-required' });
  });
  it('is not withdrawn by just anyone (A2)', () =>
    given(requested()).when(withdraw(1, 'token:abc')).thenRejected({ code: 'operator-required' }));
  it.each(['A', 'S'] as const)('is granted at %s with the operator key only (A2)', (rank) => {
    given(requested(rank))
      .when(grant({ reason: 'needed' }))
      .thenRejected({ code: 'operator-key-required' });
    given(requested(rank))
      .when(grant(full))
      .then(granted({ reason: 'needed' }));
  });
  it('is granted at S with a reason only (A2)', () => {
    given(requested('S'))
      .when(grant({ sovereign: true }))
      .thenRejected({ code: 'reason-required' });
    given(requested('A'))
      .when(grant({ sovereign: true }))
      .then(granted());
  });
  it('is denied without the operator key', () => given(requested('S')).when(deny()).then(denied()));

  it.each([
    ['granted', granted(), deny()],
    ['granted', granted(), withdraw()],
    ['denied', denied(), grant()],
    ['withdrawn', withdrawn(), grant()],
    ['expired', expired(EXPIRES), grant()],
  ] as const)('stays %s (A1)', (outcome, event, command) =>
    given(requested(), event).when(command).thenRejected({ code: 'approval-settled', outcome }),
  );

  it('expires at its deadline, to the millisecond (A3)', () => {
    given(requested())
      .when(tick(EXPIRES - 0.001))
      .thenNothing();
    given(requested()).when(tick(EXPIRES)).then(expired(EXPIRES));
    given(requested(), granted()).when(tick(EXPIRES)).thenNothing();
  });
  it.each([grant({}, EXPIRES), deny(EXPIRES), withdraw(EXPIRES, bob)])(
    'turns a late $type into its expiry (A3, A5)',
    (command) => given(requested()).when(command).then(expired(EXPIRES, bob)),
  );
  it('tells nobody without authority that it is over (A2)', () =>
    given(requested())
      .when(grant({}, EXPIRES, 'token:abc'))
      .thenRejected({ code: 'operator-required' }));

  describe('that cools off', () => {
    const resting = [requested('S', 10), cooling] as const;
    it('does not count at once (A4)', () => given(requested('S', 10)).when(grant(full)).then(cooling));
    it('counts when that is over, and not before (A4)', () => {
      given(...resting)
        .when(tick(10.999))
        .thenNothing();
      given(...resting)
        .when(tick(11))
        .then(granted({ reason: 'needed' }, 11, clock));
    });
    it('ignores a repeated grant (A6)', () =>
      given(...resting)
        .when(grant(full, 2))
        .thenNothing());
    it('can be taken back or denied until then (A4)', () => {
      given(...resting)
        .when(withdraw(5))
        .then(withdrawn(5));
      given(...resting)
        .when(deny(5))
        .then(denied(5));
    });
    it('cannot be taken back any more after that (A5)', () =>
      given(...resting)
        .when(withdraw(11))
        .then(granted({ reason: 'needed' }, 11, ada)));
  });

  it('says when it next wants to be told', () => {
    expect(nextDueAt(approval.initial)).toBeUndefined();
    expect(nextDueAt(fold([requested()]))).toBe(at(EXPIRES));
    expect(nextDueAt(fold([requested('S', 10), cooling]))).toBe(at(11));
    expect(nextDueAt(fold([requested(), granted()]))).toBeUndefined();
  });

  it.each([
    ['pending', [requested()], { expires_at: at(EXPIRES) }],
    ['cooling_off', [requested('S', 10), cooling], { effective_at: at(11), reason: 'needed' }],
    ['granted', [requested(), granted()], { settled_by: bob, settled_at: at(1), shape: false }],
    ['denied', [requested(), denied()], { settled_by: bob, reason: 'too risky' }],
    ['withdrawn', [requested(), withdrawn()], { settled_by: ada }],
    ['expired', [requested(), expired(EXPIRES)], { settled_at: at(EXPIRES) }],
  ] as const)('has a document of its schema when %s', (status, events, fields) => {
    const state = fold(events);
    const document = state.status === 'absent' ? undefined : approvalDocument.parse(toDocument(state));
    expect(document).toMatchObject({ status, requested_at: at(0), ...fields });
  });
});

describe('an approval, whatever arrives in whatever order,', () => {
  const anyActor = fc.constantFrom(ada, bob, 'token:abc', 'service:mission');
  const anyRuling = fc
    .record({
      actor: anyActor,
      sovereign: fc.boolean(),
      reason: fc.boolean(),
      kind: fc.nat(4),
      later: fc.constantFrom(0, 1, 9, 10, 1_800, 3_600),
    })
    .map(({ actor, sovereign, reason, kind, later }) => {
      const data = { sovereign, ...(reason ? { reason: 'so' } : {}) };
      const command =
        [grant(data, 0, actor), grant(data, 0, actor), deny(0, actor), withdraw(0, actor), tick(0)][kind] ?? tick(0);
      return { command, later };
    });
  const anyRank = fc.constantFrom<Rank>('E', 'B', 'A', 'S');
  const anyHistory = fc
    .tuple(anyRank, fc.constantFrom(0, 10), fc.array(anyRuling, { maxLength: 12, size: 'max' }))
    .map(([rank, cooling_off, rulings]) => {
      let seconds = 0;
      const commands = rulings.map(({ command, later }) => ({ ...command, time: at((seconds += later)) }));
      return history([request(rank, cooling_off), ...commands]);
    });
  const everyHistory = (
    check: (opening: Extract<ApprovalEvent, { type: 'ApprovalRequested' }>, rest: readonly ApprovalEvent[]) => void,
  ) =>
    fc.assert(
      fc.property(anyHistory, ([opening, ...rest]) => {
        expect(opening?.type).toBe('ApprovalRequested');
        if (opening?.type === 'ApprovalRequested') check(opening, rest);
      }),
      { numRuns: 400 },
    );

  it('is settled once, at its end (A1)', () =>
    everyHistory((_, rest) => {
      const settled = rest.filter(({ type }) => type !== 'ApprovalCoolingOff');
      expect(settled.length).toBeLessThanOrEqual(1);
      if (settled.length === 1) expect(rest.at(-1)).toEqual(settled[0]);
    }));
  it('is granted or denied by operators only, and at A and S with all that takes (A2)', () =>
    everyHistory(({ data }, rest) => {
      for (const event of rest) {
        if (event.type === 'ApprovalGranted') expect(event.data.granted_by).toMatch(/^operator:/);
        if (event.type === 'ApprovalDenied') expect(event.data.denied_by).toMatch(/^operator:/);
        if (event.type === 'ApprovalGranted' && data.rank === 'S') expect(event.data.reason).toBeDefined();
      }
    }));
  it('is not ruled on at or after its deadline (A3)', () =>
    everyHistory(({ data }, rest) => {
      const rested = rest.some(({ type }) => type === 'ApprovalCoolingOff');
      for (const event of rest) {
        if (event.type === 'ApprovalExpired') expect(event.time >= data.expires_at).toBe(true);
        else if (!rested) expect(event.time < data.expires_at).toBe(true);
      }
    }));
  it('rests before it counts, where that is asked for (A4)', () =>
    everyHistory(({ data }, rest) => {
      const counts = rest.find(({ type }) => type === 'ApprovalGranted');
      if (!counts || data.cooling_off_seconds === 0) return;
      const rested = rest.find((event) => event.type === 'ApprovalCoolingOff');
      expect(rested && counts.time >= rested.data.effective_at).toBe(true);
    }));
  it('repeats nothing (A6)', () =>
    fc.assert(
      fc.property(anyHistory, anyRuling, (events, { command }) => {
        const state = fold(events);
        const decision = approval.decide(command, state);
        if (decision.kind === 'rejected') return;
        const after = decision.events.reduce<Approval>(approval.evolve, state);
        expect(approval.decide(command, after)).toMatchObject(
          after.status === 'expired' || after.status === 'granted' ? {} : { kind: 'accepted', events: [] },
        );
      }),
    ));
});
