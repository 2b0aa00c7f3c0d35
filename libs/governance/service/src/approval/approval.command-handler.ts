import { Controller } from '@nestjs/common';
import {
  denyApproval,
  GOVERNANCE_SUBJECTS,
  grantApproval,
  requestApproval,
  withdrawApproval,
  type RequestApproval,
} from '@nexusmon/governance-contract';
import { Handle } from '@nexusmon/messaging';
import type { z } from 'zod';
import { Approvals } from './approvals.js';

@Controller()
export class ApprovalCommandHandler {
  constructor(private readonly approvals: Approvals) {}

  @Handle(GOVERNANCE_SUBJECTS.request_approval, requestApproval)
  request(request: RequestApproval) {
    return this.approvals.request(request);
  }

  @Handle(GOVERNANCE_SUBJECTS.grant, grantApproval)
  grant({ approval_id, asked, reason, shape, sovereign }: z.infer<typeof grantApproval>) {
    const data = { shape, sovereign, ...(reason === undefined ? {} : { reason }) };
    return this.approvals.rule(approval_id, asked, { type: 'GrantApproval', data });
  }

  @Handle(GOVERNANCE_SUBJECTS.deny, denyApproval)
  deny({ approval_id, asked, reason }: z.infer<typeof denyApproval>) {
    return this.approvals.rule(approval_id, asked, { type: 'DenyApproval', data: { reason } });
  }

  @Handle(GOVERNANCE_SUBJECTS.withdraw, withdrawApproval)
  withdraw({ approval_id, asked, reason }: z.infer<typeof withdrawApproval>) {
    const data = reason === undefined ? {} : { reason };
    return this.approvals.rule(approval_id, asked, { type: 'WithdrawApproval', data });
  }
}
