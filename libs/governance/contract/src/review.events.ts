import {
  actor,
  firstVersion,
  instant,
  mission_id,
  rank,
  review_id,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { z } from 'zod';

export const review_verdict = z.enum(['fine', 'not_fine']).meta({ id: 'ReviewVerdict' });
export type ReviewVerdict = z.infer<typeof review_verdict>;

/** What was looked at: a mission that ran flagged, and by which rule of the gate. */
export const flagged = z.strictObject({ review_id, mission_id, rank, decisive_rule: z.string(), flagged_at: instant });
export type Flagged = z.infer<typeof flagged>;

export const reviewEvents = {
  /** What was reviewed stands in it, so that readers need nothing else. */
  ReviewGiven: firstVersion(
    flagged.extend({ verdict: review_verdict, reviewed_by: actor, reason: sealed(text(1, 4_000)).optional() }),
  ),
} satisfies Catalogue;
export type ReviewEvent = EventsOf<typeof reviewEvents>;

export const review_status = z.enum(['open', 'reviewed']).meta({ id: 'ReviewStatus' });
export type ReviewStatus = z.infer<typeof review_status>;

export const reviewDocument = flagged
  .extend({
    status: review_status,
    verdict: review_verdict.optional(),
    reviewed_by: actor.optional(),
    reviewed_at: instant.optional(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Review' });
export type ReviewDocument = z.infer<typeof reviewDocument>;
