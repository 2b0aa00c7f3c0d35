// What can be asked of a mission beside its document: its plan as it was made, why it may run, what it gave up.

import { approvalDocument, verdictClaims } from '@nexusmon/governance-contract';
import { approval_id, category, digest, instant, mission_id, pageQuery, rank } from '@nexusmon/shared-contract';
import { attempt, FAULT_CODES, task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { mission_status } from './mission.document.js';
import { plan_source, plannedTask } from './plan.js';

/** One plan of a mission. Versions count from 1; a plan is never changed, only followed by another. */
export const planDocument = z
  .strictObject({
    version: z.int(),
    plan_source,
    plan_digest: digest,
    fingerprint: digest,
    rank,
    effective_rank: rank,
    planned_at: instant,
    /** Without the inputs where these are too large for the log and could not be had. */
    tasks: z.array(plannedTask.partial({ input: true })),
  })
  .meta({ id: 'PlanVersion' });
export type PlanDocument = z.infer<typeof planDocument>;

const { mission_id: _, plan_digest: __, rank: ___, effective_rank: ____, ...ruled } = verdictClaims.shape;
void [_, __, ___, ____];

/** A gate's decision with everything that went into it, as the log has it. */
export const explanationDocument = z
  .strictObject({
    mission_id,
    status: mission_status,
    summary: z.string(),
    inputs: z.strictObject({
      rank_asked: rank.optional(),
      rank,
      effective_rank: rank,
      category,
      plan_digest: digest,
      workers: z.array(z.strictObject({ name: z.string(), risk_level: rank, task_ids: z.array(task_id) })),
    }),
    decision: z.strictObject({ ...ruled, signature: z.string() }).optional(),
    /** Tasks that are gated by themselves, and for what. */
    task_gates: z.array(
      z.strictObject({ task_id, approval_id, effect_digest: digest, granted_by: z.string().optional() }),
    ),
    approval_ids: z.array(approval_id),
  })
  .meta({ id: 'GateExplanation' });
export type ExplanationDocument = z.infer<typeof explanationDocument>;

/** The same, with what was asked of people and what they said. */
export const explainedMission = explanationDocument
  .extend({ approvals: z.array(approvalDocument) })
  .meta({ id: 'MissionExplanation' });

/** What a mission would be: nothing of it is kept. */
export const previewDocument = z
  .strictObject({
    plan: planDocument.omit({ version: true, planned_at: true }),
    decision: z.strictObject(ruled),
  })
  .meta({ id: 'MissionPreview' });
export type PreviewDocument = z.infer<typeof previewDocument>;

/** A task whose tries are used up. */
export const deadLetterDocument = z
  .strictObject({
    dead_letter_id: z.string(),
    mission_id,
    task_id,
    worker: z.string(),
    attempt,
    tries: z.int(),
    code: z.enum(FAULT_CODES),
    message: z.string(),
    mission_status,
    dead_lettered_at: instant,
  })
  .meta({ id: 'DeadLetter' });
export type DeadLetterDocument = z.infer<typeof deadLetterDocument>;

export const listDeadLetters = z.strictObject({
  ...pageQuery,
  mission_id: mission_id.optional(),
  min_position: z.string().optional(),
});
