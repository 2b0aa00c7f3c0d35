import type { Aggregate } from '@nexusmon/event-log';
import { approvalEvents, type ApprovalEvent } from '@nexusmon/governance-contract';
import { approval, type Approval, type ApprovalCommand, type ApprovalRejection } from '@nexusmon/governance-domain';

export const approvalAggregate: Aggregate<Approval, ApprovalCommand, ApprovalEvent, ApprovalRejection> = {
  context: 'governance',
  name: 'approval',
  decider: approval,
  events: approvalEvents,
  state_version: 1,
};
