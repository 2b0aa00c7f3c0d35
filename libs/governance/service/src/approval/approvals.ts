import { Injectable } from '@nestjs/common';
import { EventLog, newId, type KeyReused, type Outcome, type Untimed } from '@nexusmon/event-log';
import type { ApprovalDocument, RequestApproval } from '@nexusmon/governance-contract';
import {
  FIRST_POLICY,
  rankPolicyOf,
  toDocument,
  type Approval,
  type ApprovalCommand,
  type ApprovalRejection,
} from '@nexusmon/governance-domain';
import { refusedBy, type Asked, type Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import { approvalAggregate } from './approval.aggregate.js';

const SERVICE = 'service:governance';

const refused = refusedBy<(ApprovalRejection | KeyReused)['code']>({
  'approval-not-found': 'there is no such approval',
  'approval-exists': 'there is another approval of this id',
  'operator-required': 'only an operator rules on an approval',
  'operator-key-required': 'this takes the operator key beside the session: send it as X-Operator-Key',
  'reason-required': 'this takes a reason',
  'approval-settled': 'the approval has been settled already',
  'idempotency-key-reused': 'this Idempotency-Key stands for another request',
});

type Unsigned<Command> = Command extends ApprovalCommand ? Omit<Command, 'actor' | 'time'> : never;
type Order = Unsigned<ApprovalCommand>;
type ApprovalReply = Promise<Reply<ApprovalDocument>>;

const signed = (order: Order, actor: string): Untimed<ApprovalCommand> => ({ ...order, actor });

/** Asking for leave and giving it, each as one command on one approval. */
@Injectable()
export class Approvals {
  constructor(private readonly log: EventLog) {}

  async request({ asked, key_id, ...request }: RequestApproval): ApprovalReply {
    const terms = rankPolicyOf(FIRST_POLICY, request.rank);
    if (!terms) return refused({ code: 'approval-not-found' });
    const { approval_expires_seconds, cooling_off_seconds } = terms;
    const { task_id, effect_digest, ...always } = request;
    const bound = { ...(task_id ? { task_id } : {}), ...(effect_digest ? { effect_digest } : {}) };
    const data = { ...always, ...bound, cooling_off_seconds, expires_seconds: approval_expires_seconds };
    return this.decide(request.approval_id, asked, { type: 'RequestApproval', data }, request.mission_id, key_id);
  }

  /** `correlation_id` is the mission's: it is read off the approval. */
  async rule(approval_id: string, asked: Asked, order: Order): ApprovalReply {
    const { state } = await this.log.load(approvalAggregate, approval_id);
    if (state.status === 'absent') return refused({ code: 'approval-not-found' });
    return this.decide(approval_id, asked, order, state.request.mission_id);
  }

  /** Does what time has brought. */
  async tick(approval_id: string): Promise<void> {
    await this.rule(approval_id, { actor: SERVICE, command_id: newId('cmd') }, { type: 'Tick', data: {} });
  }

  async get(approval_id: string): ApprovalReply {
    const { state, position } = await this.log.load(approvalAggregate, approval_id);
    if (state.status === 'absent') return refused({ code: 'approval-not-found' });
    return { kind: 'done', changed: false, position, body: toDocument(state) };
  }

  async state(approval_id: string): Promise<Approval> {
    return (await this.log.load(approvalAggregate, approval_id)).state;
  }

  /** Takes back what was asked for a mission that has ended. */
  withdraw(approval_id: string, reason: string): ApprovalReply {
    const asked = { actor: SERVICE, command_id: newId('cmd') };
    return this.rule(approval_id, asked, { type: 'WithdrawApproval', data: { reason } });
  }

  private async decide(
    approval_id: string,
    { actor, command_id, request_digest }: Asked,
    order: Order,
    correlation_id: string,
    key_id?: string,
  ): ApprovalReply {
    const command = signed(order, actor);
    const identified = { command_id, request_digest, correlation_id, command, traceparent: traceparent() };
    return answer(await this.log.execute(approvalAggregate, approval_id, identified, { key_id }));
  }
}

const answer = (outcome: Outcome<Approval, ApprovalRejection>): Reply<ApprovalDocument> => {
  if (outcome.kind === 'rejected') return refused(outcome.rejection);
  const { state, position } = outcome;
  if (state.status === 'absent') return refused({ code: 'approval-not-found' });
  return { kind: 'done', changed: outcome.kind === 'accepted', position, body: toDocument(state) };
};
