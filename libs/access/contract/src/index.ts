import {
  actor,
  digest,
  firstVersion,
  idOf,
  instant,
  sealed,
  session_id,
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
