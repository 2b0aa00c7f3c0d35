import {
  actor,
  approval_id,
  asked,
  digest,
  mission_id,
  pageQuery,
  rank,
  review_id,
  text,
} from '@nexusmon/shared-contract';
import { task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { approval_status } from './approval.events.js';
import { judgeRequest, permitAnswer, permitRequest, verdict } from './gate.js';
import { review_status, review_verdict } from './review.events.js';

export const requestApproval = z.strictObject({
  asked,
  approval_id,
  mission_id,
  task_id: task_id.optional(),
  plan_digest: digest,
  effect_digest: digest.optional(),
  rank,
  requested_by: actor,
  reasons: z.array(z.string()),
  summary: text(1, 8_000),
  derived_inputs: z.array(task_id),
  key_id: z.string(),
});
export type RequestApproval = z.infer<typeof requestApproval>;

/**
 * `sovereign`: the operator key came with this request and was right. `shape`: inputs that will hold earlier outputs,
 * in the form that the plan shows, may run too.
 */
export const grantApproval = z.strictObject({
  asked,
  approval_id,
  reason: text(1, 4_000).optional(),
  shape: z.boolean(),
  sovereign: z.boolean(),
});
export const denyApproval = z.strictObject({ asked, approval_id, reason: text(1, 4_000) });
export const withdrawApproval = z.strictObject({ asked, approval_id, reason: text(1, 4_000).optional() });
export const getApproval = z.strictObject({ approval_id, min_position: z.string().optional() });
export const listApprovals = z.strictObject({
  ...pageQuery,
  status: approval_status.optional(),
  mission_id: mission_id.optional(),
  min_position: z.string().optional(),
});

/** All gates of one moment travel in one request. */
export const judge = z.strictObject({ requests: z.array(judgeRequest).max(256) });
export const judgeReply = z.strictObject({ verdicts: z.array(verdict) });
export const authorize = z.strictObject({ requests: z.array(permitRequest).max(256) });
export const authorizeReply = z.strictObject({ answers: z.array(permitAnswer) });

export const giveReview = z.strictObject({
  asked,
  review_id,
  verdict: review_verdict,
  reason: text(1, 4_000).optional(),
});
export type GiveReview = z.infer<typeof giveReview>;
export const listReviews = z.strictObject({
  ...pageQuery,
  status: review_status.optional(),
  min_position: z.string().optional(),
});

export const countWaiting = z.strictObject({ min_position: z.string().optional() });
/** What waits for a person. */
export const waitingCounts = z.strictObject({ approvals: z.int(), reviews: z.int() });
export type WaitingCounts = z.infer<typeof waitingCounts>;

export const GOVERNANCE_SUBJECTS = {
  request_approval: 'cmd.governance.request_approval',
  grant: 'cmd.governance.grant',
  deny: 'cmd.governance.deny',
  withdraw: 'cmd.governance.withdraw',
  review: 'cmd.governance.review',
  judge: 'qry.governance.judge',
  authorize: 'qry.governance.authorize',
  get: 'qry.governance.get_approval',
  list: 'qry.governance.list_approvals',
  reviews: 'qry.governance.list_reviews',
  waiting: 'qry.governance.count_waiting',
} as const;
