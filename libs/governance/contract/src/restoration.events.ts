import {
  actor,
  digest,
  firstVersion,
  idOf,
  instant,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { z } from 'zod';

export const restoration_id = idOf('rst');
const incarnation = z.string().regex(/^[0-9a-f]{12}$/);
const sequence = z.int().min(0);

/** One event stream as it was put back. */
export const restored_stream = z.strictObject({
  stream: z.int().min(0).max(7),
  /** Of the stream that the backup was taken of, and of the one that it was put into. */
  formerly: incarnation,
  incarnation,
  /** The last that was put back; the record of it all comes after. */
  sequence,
  /** As far as is known, the old stream had reached this: what lies between is lost. */
  lost_to: sequence.optional(),
});
export type RestoredStream = z.infer<typeof restored_stream>;

/** What an operator decided, word for word as it was signed. */
export const restoration = z.strictObject({
  restoration_id,
  backup_id: idOf('bak'),
  taken_at: instant,
  /** SHA-256 of the backup's manifest, which names the digests of all its parts. */
  manifest: digest,
  decided_at: instant,
  streams: z.array(restored_stream).min(1).max(8),
});
export type Restoration = z.infer<typeof restoration>;

export const signed_restoration = restoration.extend({
  reason: sealed(text(1, 4_000)),
  /** Ed25519 of the operator key, over the canonical JSON of what was decided and why. */
  public_key: text(1, 200),
  signature: text(1, 200),
});
export type SignedRestoration = z.infer<typeof signed_restoration>;

export const restorationEvents = {
  LogRestored: firstVersion(signed_restoration.extend({ restored_by: actor })),
} satisfies Catalogue;
export type RestorationEvent = EventsOf<typeof restorationEvents>;
