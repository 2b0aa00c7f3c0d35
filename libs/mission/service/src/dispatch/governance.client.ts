import { Injectable } from '@nestjs/common';
import {
  GOVERNANCE_SUBJECTS,
  type ApprovalDocument,
  type authorizeReply,
  type judgeReply,
  type JudgeRequest,
  type PermitAnswer,
  type PermitRequest,
  type RequestApproval,
  type Verdict,
} from '@nexusmon/governance-contract';
import { MessageClient, Unavailable } from '@nexusmon/messaging';
import type { Asked, Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import type { z } from 'zod';
import { Batch } from './batch.js';

const QUESTIONS_MAX = 128;
const TIMEOUT_MS = 5_000;

const traced = <Question extends object>(question: Question) => {
  const trace = traceparent();
  return trace === undefined ? question : { ...question, traceparent: trace };
};

/** What to throw where the answer was that something is away. */
export const away = ({ dependency, detail, code }: Extract<Reply<never>, { kind: 'unavailable' }>['unavailable']) =>
  new Unavailable(dependency, detail, { code });

/** What the mission service asks of governance. Without an answer nothing starts: `Unavailable` is thrown. */
@Injectable()
export class Governance {
  private readonly verdicts: Batch<JudgeRequest, Verdict>;
  private readonly permits: Batch<PermitRequest, PermitAnswer>;

  constructor(private readonly client: MessageClient) {
    this.verdicts = new Batch(QUESTIONS_MAX, async (requests) => {
      // Not checked here: what it says is checked where it is written, and once is enough.
      const { verdicts } = await this.ask<z.infer<typeof judgeReply>>(GOVERNANCE_SUBJECTS.judge, { requests });
      return verdicts;
    });
    this.permits = new Batch(QUESTIONS_MAX, async (requests) => {
      const { answers } = await this.ask<z.infer<typeof authorizeReply>>(GOVERNANCE_SUBJECTS.authorize, { requests });
      return answers;
    });
  }

  judge(request: JudgeRequest): Promise<Verdict> {
    return this.verdicts.ask(traced(request));
  }

  authorize(request: PermitRequest): Promise<PermitAnswer> {
    return this.permits.ask(traced(request));
  }

  requestApproval(request: RequestApproval): Promise<Reply<ApprovalDocument>> {
    return this.send(GOVERNANCE_SUBJECTS.request_approval, request);
  }

  grant(request: { asked: Asked; approval_id: string; reason?: string; shape: boolean; sovereign: boolean }) {
    return this.send(GOVERNANCE_SUBJECTS.grant, request);
  }

  deny(request: { asked: Asked; approval_id: string; reason: string }) {
    return this.send(GOVERNANCE_SUBJECTS.deny, request);
  }

  withdraw(request: { asked: Asked; approval_id: string; reason?: string }) {
    return this.send(GOVERNANCE_SUBJECTS.withdraw, request);
  }

  async approval(approval_id: string): Promise<ApprovalDocument> {
    const reply = await this.send(GOVERNANCE_SUBJECTS.get, { approval_id });
    if (reply.kind === 'done') return reply.body;
    if (reply.kind === 'refused') throw new Error(`approval ${approval_id}: ${reply.refusal.detail}`);
    throw away(reply.unavailable);
  }

  private send(subject: string, request: object): Promise<Reply<ApprovalDocument>> {
    return this.client.request<ApprovalDocument>(subject, request, { timeout_ms: TIMEOUT_MS });
  }

  private async ask<Body>(subject: string, request: object): Promise<Body> {
    const reply = await this.client.request<Body>(subject, request, { timeout_ms: TIMEOUT_MS });
    if (reply.kind === 'done') return reply.body;
    if (reply.kind === 'refused') throw new Error(`governance refused a question: ${reply.refusal.detail}`);
    throw away(reply.unavailable);
  }
}
