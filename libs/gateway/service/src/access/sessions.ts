// Sessions: who may ask
//
//   A1. Whether a session stands is what the log says of it, looked at again at least every 5 s, and told at once of
//       what this process sees happen. A token alone opens nothing.
//   A2. A session that is used by another client than the one it was opened for ends.
//   A3. A cookie counts for writes only from our own origin or a listed one.
//   A4. While the log is read-only a session lasts a quarter of an hour, in this process alone: enough to look and see
//       why. It can write nothing, since nothing can.

import {
  bindingMatches,
  isOpenAt,
  type BindingMode,
  toDocument,
  type ExistingSession,
  type SessionCommand,
  type SessionState,
} from '@nexusmon/access-domain';
import { SESSION_DAYS, type Binding } from '@nexusmon/access-contract';
import { LogReadOnly, newId, type EventLog, type Untimed } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import { session_id as sessionId } from '@nexusmon/shared-contract';
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { problem } from '../http/problem.js';
import type { Principal } from '../http/route.js';
import { isSameOrigin, type Origins } from '../http/security-headers.js';
import { bindingOf } from './client-binding.js';
import { COOKIE, type Credential } from './credential.js';
import type { KeyChecks } from './key-checks.js';
import { KnownStates } from './known-states.js';
import { sessionAggregate } from './session.aggregate.js';
import type { SessionTokens } from './session-token.js';

/** One operator key, one account. */
export const ACCOUNT = 'operator:owner';
const DAY_MS = 86_400_000;
const READ_ONLY_SESSION_MS = 900_000;
const IN_MEMORY_MAX = 1_000;

export type SessionOptions = Readonly<{
  log: EventLog;
  keyring: Keyring;
  tokens: SessionTokens;
  keys: KeyChecks;
  binding: BindingMode;
  origins: Origins;
}>;

type OpenOrder = Extract<Untimed<SessionCommand>, { type: 'OpenSession' }>;
type Begun = Readonly<{ session_id: string; expires_at_ms: number; position: string | undefined }>;

export class Sessions {
  private readonly known: KnownStates<SessionState>;
  private readonly in_memory = new LRUCache<string, SessionState>({ max: IN_MEMORY_MAX, ttl: READ_ONLY_SESSION_MS });

  constructor(private readonly options: SessionOptions) {
    this.known = new KnownStates((session_id) => options.log.load(sessionAggregate, session_id));
  }

  async open(request: FastifyRequest, operator_key: string) {
    const { origin } = request.headers;
    if (origin !== undefined) this.checkOrigin(request, origin);
    await this.options.keys.check(request.ip, operator_key, 'login');
    const now_ms = Date.now();
    const { session_id, expires_at_ms, position } = await this.begin(this.bindingOf(request), now_ms);
    const token = await this.options.tokens.issue({ session_id, account: ACCOUNT, expires_at_ms }, now_ms);
    const cookie = this.cookie(request, token, Math.floor((expires_at_ms - now_ms) / 1_000));
    return { token, expires_at: new Date(expires_at_ms).toISOString(), cookie, position, account: ACCOUNT };
  }

  private async begin(binding: Binding, now_ms: number): Promise<Begun> {
    const session_id = newId('ses');
    const order = (expires_at_ms: number): OpenOrder => {
      const expires_at = new Date(expires_at_ms).toISOString();
      return { type: 'OpenSession', actor: ACCOUNT, data: { session_id, account: ACCOUNT, binding, expires_at } };
    };
    const lasting_ms = now_ms + SESSION_DAYS * DAY_MS;
    try {
      const position = await this.record(session_id, order(lasting_ms));
      return { session_id, expires_at_ms: lasting_ms, position };
    } catch (error) {
      if (!(error instanceof LogReadOnly)) throw error;
      const passing_ms = now_ms + READ_ONLY_SESSION_MS; // A4
      this.decideInMemory(session_id, order(passing_ms));
      return { session_id, expires_at_ms: passing_ms, position: undefined };
    }
  }

  private async record(session_id: string, command: OpenOrder): Promise<string> {
    const { log, keyring } = this.options;
    const outcome = await log.execute(
      sessionAggregate,
      session_id,
      { command_id: newId('cmd'), correlation_id: session_id, command },
      { key_id: await keyring.forOwner(ACCOUNT), is_new: true },
    );
    if (outcome.kind === 'rejected') throw new Error(`a new session was refused: ${outcome.rejection.code}`);
    this.known.note(session_id, outcome.state);
    return outcome.position;
  }

  private decideInMemory(session_id: string, order: Untimed<SessionCommand>): SessionState {
    const { initial, decide, evolve } = sessionAggregate.decider;
    const before = this.in_memory.get(session_id) ?? initial;
    const decision = decide({ ...order, time: new Date().toISOString() }, before);
    if (decision.kind === 'rejected') throw new Error(`a session in memory was refused: ${decision.rejection.code}`);
    const after = decision.events.reduce(evolve, before);
    this.in_memory.set(session_id, after);
    return after;
  }

  /** Ends the session that asks. */
  async leave(principal: Principal, request: FastifyRequest) {
    const ended = await this.end(principal.credential_id, principal.actor, 'logout');
    return { ...ended, cookie: this.cookie(request, '', 0) };
  }

  /** Ends a session of the same account. One of another account is not there. */
  async revoke({ actor }: Principal, session_id: string) {
    const state = await this.stateOf(session_id);
    if (state.status === 'absent' || state.account !== actor)
      throw problem('session-not-found', `there is no session ${session_id}`);
    return this.end(session_id, actor, 'revoked');
  }

  private async end(session_id: string, actor: string, why: 'logout' | 'revoked' | 'binding_mismatch') {
    const command = { type: 'EndSession', actor, data: { why } } as const;
    if (this.in_memory.has(session_id))
      return this.ended(session_id, this.decideInMemory(session_id, command), undefined);
    const identified = { command_id: newId('cmd'), correlation_id: session_id, command };
    const { state, position } = await this.options.log.execute(sessionAggregate, session_id, identified);
    this.known.note(session_id, state);
    return this.ended(session_id, state, position);
  }

  private ended(session_id: string, state: SessionState, position: string | undefined) {
    if (state.status === 'absent') throw problem('session-not-found', `there is no session ${session_id}`);
    return { session: toDocument(state, new Date().toISOString()), position };
  }

  /** The principal behind a session's token, or a problem that says what is wrong with it. */
  async authenticate(request: FastifyRequest, { text, from }: Credential): Promise<Principal> {
    const claims = await this.options.tokens.read(text);
    if (!claims || !sessionId.safeParse(claims.session_id).success)
      throw problem('credential-invalid', 'the session token is not valid, or has expired');
    if (from === 'cookie') this.checkCookieUse(request);
    const { session_id, account, expires_at_ms } = claims;
    const principal = { kind: 'session', actor: account, credential_id: session_id, expires_at_ms } as const;
    const session = await this.standing(principal);
    if (!session) throw problem('session-ended', 'the session has ended');
    if (!bindingMatches(this.options.binding, session.binding, this.bindingOf(request))) {
      await this.end(principal.credential_id, principal.actor, 'binding_mismatch');
      throw problem('session-binding-mismatch', 'the session was opened by another client and has been ended');
    }
    return principal;
  }

  async stands(principal: Principal): Promise<boolean> {
    return (await this.standing(principal)) !== undefined;
  }

  /** Told by the live log: another process may have ended it (A1). */
  forget(session_id: string): void {
    this.known.forget(session_id);
  }

  private async standing({ credential_id, expires_at_ms }: Principal): Promise<ExistingSession | undefined> {
    if (expires_at_ms <= Date.now()) return undefined;
    const state = await this.stateOf(credential_id);
    return state.status !== 'absent' && isOpenAt(state, new Date().toISOString()) ? state : undefined;
  }

  private async stateOf(session_id: string): Promise<SessionState> {
    return this.in_memory.get(session_id) ?? this.known.of(session_id);
  }

  private bindingOf(request: FastifyRequest) {
    return bindingOf(request.headers['user-agent'], request.ip, this.options.binding);
  }

  /** A3. Browsers send Origin with every write; where one does not, its fetch metadata must say the same. */
  private checkCookieUse(request: FastifyRequest): void {
    const { origin } = request.headers;
    if (origin !== undefined) this.checkOrigin(request, origin);
    else if (!['GET', 'HEAD'].includes(request.method) && request.headers['sec-fetch-site'] !== 'same-origin')
      throw problem('origin-refused', 'a write with the session cookie must say its Origin');
  }

  private checkOrigin(request: FastifyRequest, origin: string): void {
    if (!isSameOrigin(request, origin) && !this.options.origins.allows(origin))
      throw problem('origin-refused', `the origin ${origin} is not allowed`);
  }

  private cookie(request: FastifyRequest, token: string, max_age_seconds: number): string {
    const secure = request.protocol === 'https' ? '; Secure' : '';
    return `${COOKIE}=${token}; Path=/; Max-Age=${max_age_seconds}; HttpOnly; SameSite=Strict${secure}`;
  }
}
