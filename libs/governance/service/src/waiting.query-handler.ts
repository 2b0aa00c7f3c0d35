import { Controller } from '@nestjs/common';
import { countWaiting, GOVERNANCE_SUBJECTS, type WaitingCounts } from '@nexusmon/governance-contract';
import { Handle } from '@nexusmon/messaging';
import { Database, Projections } from '@nexusmon/projections';
import type { Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { APPROVAL_VIEW, approvalProjection } from './approval/approval.projection.js';
import { REVIEW_VIEW, reviewProjection } from './review/review.projection.js';

/** How much waits for a person. */
@Controller()
export class WaitingQueryHandler {
  constructor(
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  @Handle(GOVERNANCE_SUBJECTS.waiting, countWaiting)
  async count({ min_position }: z.infer<typeof countWaiting>): Promise<Reply<WaitingCounts>> {
    const names = [approvalProjection.name, reviewProjection.name];
    const refusals = await Promise.all(names.map((name) => this.projections.unreached(name, min_position)));
    const refusal = refusals.find((one) => one !== undefined);
    if (refusal) return { kind: 'refused', refusal };
    const position = this.projections.checkpointPosition(approvalProjection.name);
    const { rows } = await this.database.query<WaitingCounts>(
      `select (select count(*)::integer from ${APPROVAL_VIEW} where status in ('pending', 'cooling_off')) as approvals,
              (select count(*)::integer from ${REVIEW_VIEW} where status = 'open') as reviews`,
    );
    return { kind: 'done', changed: false, position, body: rows[0] ?? { approvals: 0, reviews: 0 } };
  }
}
