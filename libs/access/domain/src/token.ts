// Token
//
// An API token: what a program may do in place of an operator, and until when.
//
//   T1. A token is issued once, with an end that is ahead and at most a year away.
//   T2. It ends by revocation or at its expiry, and nothing follows: neither use nor a second end.
//   T3. Its use is recorded at most once in five minutes.
//   T4. Repeating a command adds nothing.

import { accept, nothing, reject, secondsAfter, type Decider, type Decision } from '@nexusmon/kernel';
import { TOKEN_DAYS_MAX, type TokenDocument, type TokenEvent } from '@nexusmon/access-contract';

type EventData<Type extends TokenEvent['type']> = Extract<TokenEvent, { type: Type }>['data'];
type Order<Type extends string, Data> = Readonly<{ type: Type; actor: string; time: string; data: Readonly<Data> }>;

export const USE_RECORDED_SECONDS = 300;
const DAY_SECONDS = 86_400;

export type TokenCommand =
  Order<'IssueToken', EventData<'TokenIssued'>> | Order<'RecordUse', object> | Order<'RevokeToken', object>;

type Issued = Readonly<EventData<'TokenIssued'> & { issued_at: string; last_used_at?: string }>;
export type ExistingToken = Issued &
  (Readonly<{ status: 'active' }> | Readonly<{ status: 'revoked'; revoked_at: string }>);
export type TokenState = Readonly<{ status: 'absent' }> | ExistingToken;

export type TokenRejection = Readonly<{ code: 'token-not-found' | 'token-exists' | 'token-expiry-invalid' }>;

const decide = (command: TokenCommand, state: TokenState): Decision<TokenEvent, TokenRejection> => {
  if (command.type === 'IssueToken') return issue(command, state);
  if (state.status === 'absent') return reject({ code: 'token-not-found' });
  if (state.status === 'revoked') return nothing;
  const { actor, time } = command;
  if (time >= state.expires_at) return nothing;
  if (command.type === 'RevokeToken') return accept({ type: 'TokenRevoked', actor, time, data: {} });
  return isUseDue(state, time) ? accept({ type: 'TokenUsed', actor, time, data: {} }) : nothing;
};

const issue = (
  { actor, time, data }: Extract<TokenCommand, { type: 'IssueToken' }>,
  state: TokenState,
): Decision<TokenEvent, TokenRejection> => {
  if (state.status !== 'absent') {
    const repeated = state.status === 'active' && state.secret_digest === data.secret_digest;
    return repeated ? nothing : reject({ code: 'token-exists' });
  }
  const latest = secondsAfter(time, TOKEN_DAYS_MAX * DAY_SECONDS);
  if (data.expires_at <= time || data.expires_at > latest) return reject({ code: 'token-expiry-invalid' });
  return accept({ type: 'TokenIssued', actor, time, data });
};

/** Whether a use at this instant is worth recording (T3). */
export const isUseDue = ({ last_used_at }: ExistingToken, time: string): boolean =>
  last_used_at === undefined || time >= secondsAfter(last_used_at, USE_RECORDED_SECONDS);

/** Whether requests with this token count at this instant. */
export const isActiveAt = (state: TokenState, time: string): state is ExistingToken =>
  state.status === 'active' && time < state.expires_at;

const evolve = (state: TokenState, event: TokenEvent): TokenState => {
  if (event.type === 'TokenIssued') return { status: 'active', ...event.data, issued_at: event.time };
  // Only an active token is used or revoked.
  if (state.status !== 'active') return state;
  return event.type === 'TokenUsed'
    ? { ...state, last_used_at: event.time }
    : { ...state, status: 'revoked', revoked_at: event.time };
};

export const token: Decider<TokenState, TokenCommand, TokenEvent, TokenRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};

/** As it is at this instant, without its secret's digest. */
export const toTokenDocument = (state: ExistingToken, time: string): TokenDocument => {
  const { token_id, account, name, rank_ceiling, issued_at, expires_at, last_used_at } = state;
  const over = state.status === 'active' && time >= expires_at;
  return {
    ...{ token_id, account, name, rank_ceiling, issued_at, expires_at },
    scopes: state.scopes as TokenDocument['scopes'],
    status: over ? 'expired' : state.status,
    ...(last_used_at === undefined ? {} : { last_used_at }),
    ...(state.status === 'revoked' ? { revoked_at: state.revoked_at } : {}),
  };
};
