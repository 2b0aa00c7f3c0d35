import {
  actor,
  digest,
  firstVersion,
  idOf,
  instant,
  rank,
  sealed,
  session_id,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { z } from 'zod';

export const SESSION_DAYS = 30;
/** The client that a session belongs to: digest of its User-Agent, and its address cut to /24 or /64. */
export const binding = z.strictObject({ user_agent_digest: digest, address_prefix: z.string() });
export type Binding = z.infer<typeof binding>;

export const sessionEvents = {
  SessionOpened: firstVersion(
    z.strictObject({ session_id, account: actor, binding: sealed(binding), expires_at: instant }),
  ),
  SessionEnded: firstVersion(z.strictObject({ why: z.enum(['logout', 'revoked', 'binding_mismatch', 'expired']) })),
} satisfies Catalogue;
export type SessionEvent = EventsOf<typeof sessionEvents>;

export const sessionDocument = z
  .strictObject({
    session_id,
    account: actor,
    status: z.enum(['open', 'ended']),
    opened_at: instant,
    expires_at: instant,
    ended_at: instant.optional(),
    why: z.string().optional(),
  })
  .meta({ id: 'Session' });
export type SessionDocument = z.infer<typeof sessionDocument>;

/** Made of a keyed digest: an address can be looked for under its id, and not be read from it. */
export const lockout_id = idOf('lck');

export const lockoutEvents = {
  /** A try of the operator key that counted. `whom`: the address, or its network, or the account. */
  AttemptRefused: firstVersion(
    z.strictObject({
      scope: z.enum(['address', 'account']),
      whom: sealed(z.string()),
      place: z.enum(['login', 'header', 'body']),
      compared: z.boolean(),
      failures: z.int().min(1),
      known_from: instant,
      locked_until: instant,
    }),
  ),
} satisfies Catalogue;
export type LockoutEvent = EventsOf<typeof lockoutEvents>;

export const TOKEN_DAYS_MAX = 365;
export const TOKEN_DAYS_DEFAULT = 90;
export const token_id = idOf('tok');

/** What a token may be allowed. A route names the one that it asks for. */
export const scope = z
  .enum(['missions:read', 'missions:write', 'vault:read', 'vault:write', 'audit:export', 'admin'])
  .meta({ id: 'Scope' });
export type Scope = z.infer<typeof scope>;
/** As the log keeps it: there will be more. */
const recordedScope = z.string().regex(/^[a-z]+(:[a-z]+)?$/);

export const tokenEvents = {
  /** `secret_digest`: HMAC-SHA256 of the secret under the gateway's pepper. The secret itself is nowhere. */
  TokenIssued: firstVersion(
    z.strictObject({
      token_id,
      account: actor,
      name: sealed(text(1, 100)),
      scopes: z.array(recordedScope).min(1),
      rank_ceiling: rank,
      expires_at: instant,
      secret_digest: digest,
    }),
  ),
  /** Told now and then, not at every request. */
  TokenUsed: firstVersion(z.strictObject({})),
  TokenRevoked: firstVersion(z.strictObject({})),
} satisfies Catalogue;
export type TokenEvent = EventsOf<typeof tokenEvents>;

export const tokenDocument = z
  .strictObject({
    token_id,
    account: actor,
    name: z.string(),
    scopes: z.array(scope),
    rank_ceiling: rank.describe('It moves no mission whose effective rank is higher.'),
    status: z.enum(['active', 'revoked', 'expired']),
    issued_at: instant,
    expires_at: instant,
    last_used_at: instant.optional().describe('To within five minutes.'),
    revoked_at: instant.optional(),
  })
  .meta({ id: 'Token' });
export type TokenDocument = z.infer<typeof tokenDocument>;
