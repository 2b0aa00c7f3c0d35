// Approval
//
// Leave, asked of a person, to run a plan or one task of it. It is bound to what was shown: the digest of the plan, and
// of the effect where it is about one task.
//
//   A1. An approval is settled once (granted, denied, expired or withdrawn), and that is its last event.
//   A2. Only an operator grants or denies. At A and S a grant needs the operator key with it, at S a reason too.
//   A3. Nothing is ruled on at or after its deadline: silence has said no by then.
//   A4. Where a cooling-off is asked for, a grant counts only when it is over; until then it can be taken back.
//   A5. What time has settled comes first: a ruling that is late records what had become true before it.
//   A6. Repeating a command adds nothing, so a redelivered message is harmless.

import { accept, nothing, reject, secondsAfter, type Decider, type Decision } from '@nexusmon/kernel';
import type { ApprovalDocument, ApprovalEvent } from '@nexusmon/governance-contract';
import { isHighRank } from './policy.js';

type EventData<Type extends ApprovalEvent['type']> = Extract<ApprovalEvent, { type: Type }>['data'];
type Order<Type extends string, Data> = Readonly<{ type: Type; actor: string; time: string; data: Readonly<Data> }>;
type Request = EventData<'ApprovalRequested'>;
type Grant = EventData<'ApprovalGranted'>;

export type ApprovalCommand =
  /** The terms are the policy's for the rank, at the moment of asking. */
  | Order<'RequestApproval', Omit<Request, 'expires_at'> & { expires_seconds: number }>
  /** `sovereign`: the operator key came with this and was right. */
  | Order<'GrantApproval', { reason?: string; shape: boolean; sovereign: boolean }>
  | Order<'DenyApproval', { reason: string }>
  | Order<'WithdrawApproval', { reason?: string }>
  /** Time has come: whatever is due happens. */
  | Order<'Tick', object>;
type CommandOf<Type extends ApprovalCommand['type']> = Extract<ApprovalCommand, { type: Type }>;
type Ruling = CommandOf<'GrantApproval' | 'DenyApproval' | 'WithdrawApproval'>;

export type ApprovalOutcome = 'granted' | 'denied' | 'expired' | 'withdrawn';
type Asked = Readonly<{ request: Request; requested_at: string }>;
type Open = Asked &
  (Readonly<{ status: 'pending' }> | Readonly<{ status: 'cooling_off'; grant: Grant; effective_at: string }>);
type Settled = Asked &
  Readonly<{ settled_at: string; settled_by: string }> &
  (
    | Readonly<{ status: 'granted'; grant: Grant }>
    | Readonly<{ status: Exclude<ApprovalOutcome, 'granted'>; reason?: string }>
  );
export type ExistingApproval = Open | Settled;
export type Approval = Readonly<{ status: 'absent' }> | ExistingApproval;

export type ApprovalRejection =
  | Readonly<{
      code:
        'approval-not-found' | 'approval-exists' | 'operator-required' | 'operator-key-required' | 'reason-required';
    }>
  | Readonly<{ code: 'approval-settled'; outcome: ApprovalOutcome }>;
export type ApprovalDecision = Decision<ApprovalEvent, ApprovalRejection>;

const isOpen = (state: ExistingApproval): state is Open => state.status === 'pending' || state.status === 'cooling_off';

const decide = (command: ApprovalCommand, state: Approval): ApprovalDecision => {
  switch (command.type) {
    case 'RequestApproval':
      return request(command, state);
    case 'GrantApproval':
    case 'DenyApproval':
    case 'WithdrawApproval':
      return state.status === 'absent' ? reject({ code: 'approval-not-found' }) : rule(command, state);
    case 'Tick': {
      if (state.status === 'absent') return reject({ code: 'approval-not-found' });
      const due = settledByTime(state, command);
      return due ? accept(due) : nothing;
    }
  }
};

const request = ({ actor, time, data }: CommandOf<'RequestApproval'>, state: Approval): ApprovalDecision => {
  const { expires_seconds, ...asked } = data;
  if (state.status !== 'absent') return isAsked(state.request, asked) ? nothing : reject({ code: 'approval-exists' });
  const expires_at = secondsAfter(time, expires_seconds);
  return accept({ type: 'ApprovalRequested', actor, time, data: { ...asked, expires_at } });
};

/** Whether this is the approval that is asked for again: what it is bound to decides, not how it is described. */
const isAsked = (known: Request, again: Omit<Request, 'expires_at'>) =>
  known.mission_id === again.mission_id &&
  known.rank === again.rank &&
  known.task_id === again.task_id &&
  known.plan_digest === again.plan_digest &&
  known.effect_digest === again.effect_digest;

const outcomes = {
  GrantApproval: 'granted',
  DenyApproval: 'denied',
  WithdrawApproval: 'withdrawn',
} as const satisfies Record<Ruling['type'], ApprovalOutcome>;

const rule = (command: Ruling, state: ExistingApproval): ApprovalDecision => {
  if (!isOpen(state)) {
    const repeated = outcomes[command.type] === state.status;
    return repeated ? nothing : reject({ code: 'approval-settled', outcome: state.status });
  }
  const lacking = lackingAuthority(command, state.request);
  if (lacking) return reject({ code: lacking });
  const due = settledByTime(state, command);
  if (due) return accept(due);
  const { actor, time, data } = command;
  const by = { actor, time };
  switch (command.type) {
    case 'GrantApproval':
      return state.status === 'pending' ? accept(granted(command, state.request)) : nothing;
    case 'DenyApproval':
      return accept({ type: 'ApprovalDenied', ...by, data: { denied_by: actor, reason: command.data.reason } });
    case 'WithdrawApproval':
      return accept({ type: 'ApprovalWithdrawn', ...by, data: { withdrawn_by: actor, ...data } });
  }
};

/** Taking back is open to whoever asked too, and to the service whose mission has ended. */
const lackingAuthority = (
  command: Ruling,
  { rank, requested_by }: Request,
): 'operator-required' | 'operator-key-required' | 'reason-required' | undefined => {
  const { type, actor, data } = command;
  const operator = actor.startsWith('operator:');
  if (type === 'WithdrawApproval')
    return operator || actor === requested_by || actor.startsWith('service:') ? undefined : 'operator-required';
  if (!operator) return 'operator-required';
  if (type === 'DenyApproval') return undefined;
  if (isHighRank(rank) && !data.sovereign) return 'operator-key-required';
  return rank === 'S' && data.reason === undefined ? 'reason-required' : undefined;
};

const granted = (
  { actor, time, data }: CommandOf<'GrantApproval'>,
  { cooling_off_seconds }: Request,
): ApprovalEvent => {
  const { reason, shape } = data;
  const grant: Grant = { granted_by: actor, shape, ...(reason === undefined ? {} : { reason }) };
  if (!(cooling_off_seconds > 0)) return { type: 'ApprovalGranted', actor, time, data: grant };
  const effective_at = secondsAfter(time, cooling_off_seconds);
  return { type: 'ApprovalCoolingOff', actor, time, data: { ...grant, effective_at } };
};

/** When the clock settles it; undefined once it is settled. */
export const nextDueAt = (state: Approval): string | undefined => {
  if (state.status === 'pending') return state.request.expires_at;
  return state.status === 'cooling_off' ? state.effective_at : undefined;
};

const settledByTime = (state: ExistingApproval, { actor, time }: ApprovalCommand): ApprovalEvent | undefined => {
  const due_at = nextDueAt(state);
  if (due_at === undefined || time < due_at) return undefined;
  return state.status === 'cooling_off'
    ? { type: 'ApprovalGranted', actor, time, data: state.grant }
    : { type: 'ApprovalExpired', actor, time, data: {} };
};

const evolve = (state: Approval, event: ApprovalEvent): Approval => {
  if (event.type === 'ApprovalRequested') return { status: 'pending', request: event.data, requested_at: event.time };
  // Every other event is decided on an approval that is there.
  if (state.status === 'absent') return state;
  const { request, requested_at } = state;
  const asked = { request, requested_at };
  const settled = { ...asked, settled_at: event.time, settled_by: event.actor };
  switch (event.type) {
    case 'ApprovalCoolingOff': {
      const { effective_at, ...grant } = event.data;
      return { ...asked, status: 'cooling_off', grant, effective_at };
    }
    case 'ApprovalGranted':
      return { ...settled, status: 'granted', grant: event.data };
    case 'ApprovalDenied':
      return { ...settled, status: 'denied', reason: event.data.reason };
    case 'ApprovalExpired':
      return { ...settled, status: 'expired' };
    case 'ApprovalWithdrawn': {
      const { reason } = event.data;
      return { ...settled, status: 'withdrawn', ...(reason === undefined ? {} : { reason }) };
    }
  }
};

export const approval: Decider<Approval, ApprovalCommand, ApprovalEvent, ApprovalRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};

export const toDocument = (state: ExistingApproval): ApprovalDocument => {
  const { cooling_off_seconds: _, ...request } = state.request;
  const asked = { ...request, status: state.status, requested_at: state.requested_at };
  if (state.status === 'pending') return asked;
  if (state.status === 'cooling_off') return { ...asked, ...shown(state.grant), effective_at: state.effective_at };
  const { settled_at, settled_by } = state;
  if (state.status === 'granted')
    return { ...asked, ...shown(state.grant), settled_at, settled_by: state.grant.granted_by };
  return { ...asked, settled_at, settled_by, ...(state.reason === undefined ? {} : { reason: state.reason }) };
};

const shown = ({ shape, reason }: Grant) => (reason === undefined ? { shape } : { shape, reason });
