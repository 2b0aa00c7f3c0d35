import {
  actor,
  digest,
  firstVersion,
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
