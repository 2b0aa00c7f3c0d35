import { Controller } from '@nestjs/common';
import { getApproval, GOVERNANCE_SUBJECTS, listApprovals, type ApprovalDocument } from '@nexusmon/governance-contract';
import { toDocument, type ExistingApproval } from '@nexusmon/governance-domain';
import { Handle } from '@nexusmon/messaging';
import { Database, Projections, readPage, type PageAnswer } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { APPROVAL_VIEW, approvalProjection } from './approval.projection.js';
import { Approvals } from './approvals.js';

@Controller()
export class ApprovalQueryHandler {
  constructor(
    private readonly approvals: Approvals,
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  /** Read from the log's leader: never older than what the asker has seen, so that it has nothing to wait for. */
  @Handle(GOVERNANCE_SUBJECTS.get, getApproval)
  get({ approval_id }: z.infer<typeof getApproval>): Promise<Reply<ApprovalDocument>> {
    return this.approvals.get(approval_id);
  }

  @Handle(GOVERNANCE_SUBJECTS.list, listApprovals)
  async list(query: z.infer<typeof listApprovals>): Promise<Reply<Page<ApprovalDocument>>> {
    const { limit, cursor, status, mission_id, min_position } = query;
    const unreached = await this.projections.unreached(approvalProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const answer = await readPage(this.database, {
      table: APPROVAL_VIEW,
      order_column: 'created_position',
      limit,
      cursor,
      where: { status, mission_id },
      item: (row) => toDocument(row['state'] as ExistingApproval),
    });
    return this.answered(answer, approvalProjection.name);
  }

  private answered<Item>(answer: PageAnswer<Item>, projection: string): Reply<Page<Item>> {
    if ('refusal' in answer) return { kind: 'refused', refusal: answer.refusal };
    const position = this.projections.checkpointPosition(projection);
    return { kind: 'done', changed: false, position, body: answer.page };
  }
}
