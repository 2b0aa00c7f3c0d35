import { Controller } from '@nestjs/common';
import {
  giveReview,
  GOVERNANCE_SUBJECTS,
  listReviews,
  type GiveReview,
  type ReviewDocument,
} from '@nexusmon/governance-contract';
import { Handle } from '@nexusmon/messaging';
import { Database, Projections, readPage } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { REVIEW_VIEW, reviewProjection, toReview } from './review.projection.js';
import { Reviews } from './reviews.js';

@Controller()
export class ReviewRequestHandler {
  constructor(
    private readonly reviews: Reviews,
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  @Handle(GOVERNANCE_SUBJECTS.review, giveReview)
  give(request: GiveReview): Promise<Reply<ReviewDocument>> {
    return this.reviews.give(request);
  }

  @Handle(GOVERNANCE_SUBJECTS.reviews, listReviews)
  async list(query: z.infer<typeof listReviews>): Promise<Reply<Page<ReviewDocument>>> {
    const { limit, cursor, status, min_position } = query;
    const unreached = await this.projections.unreached(reviewProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const position = this.projections.checkpointPosition(reviewProjection.name);
    const answer = await readPage(this.database, {
      ...{ table: REVIEW_VIEW, order_column: 'flagged_position', limit, cursor, where: { status }, item: toReview },
    });
    if ('refusal' in answer) return { kind: 'refused', refusal: answer.refusal };
    return { kind: 'done', changed: false, position, body: answer.page };
  }
}
