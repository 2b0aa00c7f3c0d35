import { Injectable } from '@nestjs/common';
import { EventLog, type KeyReused } from '@nexusmon/event-log';
import type { GiveReview, ReviewDocument } from '@nexusmon/governance-contract';
import { toReviewDocument, type ReviewRejection } from '@nexusmon/governance-domain';
import { Database } from '@nexusmon/projections';
import { refusedBy, type Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import { reviewAggregate } from './review.aggregate.js';
import { REVIEW_VIEW, toReview } from './review.projection.js';

type Refused = ReviewRejection | KeyReused | Readonly<{ code: 'review-not-found' }>;

const refused = refusedBy<Refused['code']>({
  'review-not-found': 'there is no such review',
  'operator-required': 'only an operator reviews',
  'reason-required': 'what is not fine takes a reason',
  'review-given': 'the review has been given already',
  'idempotency-key-reused': 'this Idempotency-Key stands for another request',
});

/** Giving reviews, each as one command on one of them. */
@Injectable()
export class Reviews {
  constructor(
    private readonly log: EventLog,
    private readonly database: Database,
  ) {}

  /**
   * That a mission ran flagged is read from the view: what is listed there never ceases to be true, and nobody knows
   * of a review that is not listed yet.
   */
  async give({ asked, review_id, verdict, reason }: GiveReview): Promise<Reply<ReviewDocument>> {
    const { rows } = await this.database.query(`select * from ${REVIEW_VIEW} where review_id = $1`, [review_id]);
    const [row] = rows;
    if (!row) return refused({ code: 'review-not-found' });
    const { mission_id, rank, decisive_rule, flagged_at } = toReview(row);
    const flagged = { review_id, mission_id, rank, decisive_rule, flagged_at };
    const { actor, ...identity } = asked;
    const data = { ...flagged, verdict, ...(reason === undefined ? {} : { reason }) };
    const outcome = await this.log.execute(
      reviewAggregate,
      review_id,
      {
        ...identity,
        ...{ correlation_id: mission_id, traceparent: traceparent() },
        command: { type: 'GiveReview', actor, data },
      },
      // The reason is as personal as the mission: it goes when the mission's key goes.
      { key_id: row['key_id'] as string },
    );
    if (outcome.kind === 'rejected') return refused(outcome.rejection);
    const { state, position } = outcome;
    if (state.status === 'open') return refused({ code: 'review-not-found' });
    return { kind: 'done', changed: outcome.kind === 'accepted', position, body: toReviewDocument(state) };
  }
}
