// Session
//
// An operator's presence at one client, from login to its end.
//
//   S1. A session opens once, and never past its expiry.
//   S2. It ends once; nothing follows its end.
//   S3. At its expiry it is over by itself: from then on nothing is recorded but that.
//   S4. Repeating a command adds nothing.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { Binding, SessionDocument, SessionEvent } from '@nexusmon/access-contract';

type EventData<Type extends SessionEvent['type']> = Extract<SessionEvent, { type: Type }>['data'];
type Order<Type extends string, Data> = Readonly<{ type: Type; actor: string; time: string; data: Readonly<Data> }>;

export type EndReason = EventData<'SessionEnded'>['why'];
export type SessionCommand =
  | Order<'OpenSession', EventData<'SessionOpened'>>
  /** `expired` before its time ends nothing. */
  | Order<'EndSession', { why: EndReason }>
  /** Time has come: whatever is due happens. */
  | Order<'Tick', object>;

type Opened = Readonly<EventData<'SessionOpened'> & { opened_at: string }>;
export type ExistingSession = Opened &
  (Readonly<{ status: 'open' }> | Readonly<{ status: 'ended'; ended_at: string; why: EndReason }>);
export type SessionState = Readonly<{ status: 'absent' }> | ExistingSession;

export type SessionRejection = Readonly<{ code: 'session-not-found' | 'session-exists' | 'session-expired' }>;
type SessionDecision = Decision<SessionEvent, SessionRejection>;

const decide = (command: SessionCommand, state: SessionState): SessionDecision => {
  if (command.type === 'OpenSession') return open(command, state);
  if (state.status === 'absent') return reject({ code: 'session-not-found' });
  if (state.status === 'ended') return nothing;
  const { actor, time } = command;
  if (time >= state.expires_at) return accept({ type: 'SessionEnded', actor, time, data: { why: 'expired' } });
  if (command.type === 'Tick' || command.data.why === 'expired') return nothing;
  return accept({ type: 'SessionEnded', actor, time, data: command.data });
};

type OpenSession = Extract<SessionCommand, { type: 'OpenSession' }>;

const open = ({ actor, time, data }: OpenSession, state: SessionState): SessionDecision => {
  if (state.status !== 'absent') {
    const repeated = state.status === 'open' && state.account === data.account && state.expires_at === data.expires_at;
    return repeated ? nothing : reject({ code: 'session-exists' });
  }
  if (time >= data.expires_at) return reject({ code: 'session-expired' });
  return accept({ type: 'SessionOpened', actor, time, data });
};

/** Whether requests under this session count at this instant. */
export const isOpenAt = (state: SessionState, time: string): boolean =>
  state.status === 'open' && time < state.expires_at;

/** When the session is over by itself; undefined once it has ended. */
export const nextDueAt = (state: SessionState): string | undefined =>
  state.status === 'open' ? state.expires_at : undefined;

const evolve = (state: SessionState, event: SessionEvent): SessionState => {
  switch (event.type) {
    case 'SessionOpened':
      return { status: 'open', ...event.data, opened_at: event.time };
    case 'SessionEnded':
      // Only an open session is ever ended.
      return state.status === 'open' ? { ...state, status: 'ended', ended_at: event.time, why: event.data.why } : state;
  }
};

export const session: Decider<SessionState, SessionCommand, SessionEvent, SessionRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};

/** As it is at this instant: past its expiry a session is over, whether or not anybody has said so. */
export const toDocument = (state: ExistingSession, time: string): SessionDocument => {
  const { session_id, account, status, opened_at, expires_at } = state;
  const document = { session_id, account, status, opened_at, expires_at };
  if (state.status === 'ended') return { ...document, ended_at: state.ended_at, why: state.why };
  return time < expires_at ? document : { ...document, status: 'ended', ended_at: expires_at, why: 'expired' };
};

/**
 * How much of the client must stay the same. `strict` differs from `prefix` in what is taken down, not in how it is
 * compared: there the prefix is the whole address.
 */
export type BindingMode = 'strict' | 'prefix' | 'agent';

export const bindingMatches = (mode: BindingMode, bound: Binding, seen: Binding): boolean => {
  const same_agent = bound.user_agent_digest === seen.user_agent_digest;
  switch (mode) {
    case 'agent':
      return same_agent;
    case 'strict':
    case 'prefix':
      return same_agent && bound.address_prefix === seen.address_prefix;
  }
};
