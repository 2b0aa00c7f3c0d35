// API tokens: what a program carries in place of a session.
//
//   B1. `nx_<id>_<256 bits>`: found by its id, compared by the HMAC of its secret in constant time. The secret is shown
//       once and kept nowhere.
//   B2. Whether a token counts is what the log says of it, looked at again at least every 4 s, and told at once of what
//       this process sees happen.
//   B3. Use is recorded now and then, beside the request and never in its way.

import { TOKEN_DAYS_DEFAULT, TOKEN_DAYS_MAX, scope, token_id, type Scope } from '@nexusmon/access-contract';
import {
  isActiveAt,
  isUseDue,
  toTokenDocument,
  USE_RECORDED_SECONDS,
  type ExistingToken,
  type TokenCommand,
  type TokenState,
} from '@nexusmon/access-domain';
import { newId, type EventLog, type Untimed } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import { rank, text } from '@nexusmon/shared-contract';
import type { Logger } from '@nexusmon/telemetry';
import { LRUCache } from 'lru-cache';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { problem } from '../http/problem.js';
import type { Principal } from '../http/route.js';
import { KnownStates } from './known-states.js';
import { tokenAggregate } from './token.aggregate.js';

const FORM = /^nx_(tok_[0-9a-f-]{36})_([A-Za-z0-9_-]{43})$/;
const SECRET_BYTES = 32;
const USED_MAX = 10_000;
const DAY_MS = 86_400_000;

export const tokenBody = z
  .strictObject({
    name: text(1, 100).describe('What it is for.'),
    scopes: z
      .array(scope)
      .min(1)
      .max(scope.options.length)
      .refine((scopes) => new Set(scopes).size === scopes.length, 'each scope stands once'),
    rank_ceiling: rank.default('B').describe('It moves no mission whose effective rank is higher.'),
    expires_in_days: z.int().min(1).max(TOKEN_DAYS_MAX).default(TOKEN_DAYS_DEFAULT),
  })
  .meta({ id: 'TokenRequest' });

export const isApiToken = (text: string): boolean => text.startsWith('nx_');

export type ApiTokenOptions = Readonly<{ log: EventLog; keyring: Keyring; pepper: Buffer; logger: Logger }>;

export class ApiTokens {
  private readonly known: KnownStates<TokenState>;
  private readonly used = new LRUCache<string, true>({ max: USED_MAX, ttl: USE_RECORDED_SECONDS * 1_000 });

  constructor(private readonly options: ApiTokenOptions) {
    this.known = new KnownStates((token_id) => options.log.load(tokenAggregate, token_id));
  }

  async issue({ actor }: Principal, body: z.infer<typeof tokenBody>) {
    const token_id = newId('tok');
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    const { name, rank_ceiling, expires_in_days } = body;
    const scopes: Scope[] = [...body.scopes];
    const expires_at = new Date(Date.now() + expires_in_days * DAY_MS).toISOString();
    const secret_digest = this.digestOf(token_id, secret).toString('hex');
    const data = { token_id, account: actor, name, scopes, rank_ceiling, expires_at, secret_digest };
    const { state, position } = await this.execute(
      token_id,
      { type: 'IssueToken', actor, data },
      { key_id: await this.options.keyring.forOwner(actor), is_new: true },
    );
    return { document: documentOf(token_id, state), token: `nx_${token_id}_${secret}`, position };
  }

  /** Revokes a token of the same account. One of another account is not there. */
  async revoke({ actor }: Principal, token_id: string) {
    const state = await this.known.of(token_id);
    if (state.status === 'absent' || state.account !== actor) throw notFound(token_id);
    const revoked = await this.execute(token_id, { type: 'RevokeToken', actor, data: {} });
    return { document: documentOf(token_id, revoked.state), position: revoked.position };
  }

  async authenticate(token: string): Promise<Principal> {
    const [, id = '', secret = ''] = FORM.exec(token) ?? [];
    const state: TokenState = token_id.safeParse(id).success ? await this.known.of(id) : { status: 'absent' };
    const digest = this.digestOf(id, secret);
    if (state.status === 'absent' || !timingSafeEqual(digest, Buffer.from(state.secret_digest, 'hex')))
      throw problem('credential-invalid', 'the API token is not valid');
    if (!isActiveAt(state, new Date().toISOString()))
      throw problem('token-ended', `the API token ${id} has been revoked or has expired`);
    this.noteUse(state);
    const { scopes, rank_ceiling, expires_at } = state;
    const actor = `token:${id}`;
    return {
      ...{ kind: 'token', actor, credential_id: id, expires_at_ms: Date.parse(expires_at) },
      ...{ scopes, rank_ceiling },
    };
  }

  async stands({ credential_id }: Principal): Promise<boolean> {
    return isActiveAt(await this.known.of(credential_id), new Date().toISOString());
  }

  forget(token_id: string): void {
    this.known.forget(token_id);
  }

  /** B3 */
  private noteUse(state: ExistingToken): void {
    const { token_id } = state;
    if (this.used.has(token_id) || !isUseDue(state, new Date().toISOString())) return;
    if (!this.options.log.status().writable) return;
    this.used.set(token_id, true);
    const told = this.execute(token_id, { type: 'RecordUse', actor: `token:${token_id}`, data: {} });
    told.catch((error: unknown) => {
      this.used.delete(token_id);
      this.options.logger.warn({ msg: 'the use of an API token was not recorded', token_id, error });
    });
  }

  private async execute(
    token_id: string,
    command: Untimed<TokenCommand>,
    options: Parameters<EventLog['execute']>[3] = {},
  ) {
    const identified = { command_id: newId('cmd'), correlation_id: token_id, command };
    const outcome = await this.options.log.execute(tokenAggregate, token_id, identified, options);
    if (outcome.kind === 'rejected') throw new Error(`${command.type} was refused: ${outcome.rejection.code}`);
    this.known.note(token_id, outcome.state);
    return outcome;
  }

  private digestOf(token_id: string, secret: string): Buffer {
    return createHmac('sha256', this.options.pepper).update(`token/${token_id}/${secret}`).digest();
  }
}

const notFound = (token_id: string) => problem('token-not-found', `there is no API token ${token_id}`);

const documentOf = (token_id: string, state: TokenState) => {
  if (state.status === 'absent') throw notFound(token_id);
  return toTokenDocument(state, new Date().toISOString());
};
