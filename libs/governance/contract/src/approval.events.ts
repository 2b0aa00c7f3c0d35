import {
  actor,
  approval_id,
  digest,
  firstVersion,
  instant,
  mission_id,
  rank,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';

const reason = sealed(text(1, 4_000));

/**
 * What is asked: leave to run a plan (bound to its digest) or one task of it (bound to the digest of its effect).
 * `summary` is what the approver is shown; `derived_inputs` names tasks whose input will hold earlier outputs.
 */
export const approvalEvents = {
  ApprovalRequested: firstVersion(
    z.strictObject({
      approval_id,
      mission_id,
      task_id: task_id.optional(),
      plan_digest: digest,
      effect_digest: digest.optional(),
      rank,
      requested_by: actor,
      reasons: z.array(z.string()),
      summary: sealed(text(1, 8_000)),
      derived_inputs: z.array(task_id),
      expires_at: instant,
      cooling_off_seconds: z.int(),
    }),
  ),
  /** An S grant rests before it counts; until `effective_at` it can be withdrawn. */
  ApprovalCoolingOff: firstVersion(
    z.strictObject({ granted_by: actor, reason: reason.optional(), shape: z.boolean(), effective_at: instant }),
  ),
  ApprovalGranted: firstVersion(z.strictObject({ granted_by: actor, reason: reason.optional(), shape: z.boolean() })),
  ApprovalDenied: firstVersion(z.strictObject({ denied_by: actor, reason })),
  ApprovalExpired: firstVersion(z.strictObject({})),
  ApprovalWithdrawn: firstVersion(z.strictObject({ withdrawn_by: actor, reason: reason.optional() })),
} satisfies Catalogue;
export type ApprovalEvent = EventsOf<typeof approvalEvents>;

export const approval_status = z
  .enum(['pending', 'cooling_off', 'granted', 'denied', 'expired', 'withdrawn'])
  .meta({ id: 'ApprovalStatus' });
export type ApprovalStatus = z.infer<typeof approval_status>;

export const approvalDocument = z
  .strictObject({
    approval_id,
    mission_id,
    task_id: task_id.optional(),
    status: approval_status,
    rank,
    plan_digest: digest,
    effect_digest: digest.optional(),
    requested_by: actor,
    requested_at: instant,
    expires_at: instant,
    effective_at: instant.optional(),
    settled_at: instant.optional(),
    settled_by: actor.optional(),
    reason: z.string().optional(),
    reasons: z.array(z.string()),
    summary: z.string(),
    derived_inputs: z.array(task_id),
    shape: z.boolean().optional(),
  })
  .meta({ id: 'Approval' });
export type ApprovalDocument = z.infer<typeof approvalDocument>;
