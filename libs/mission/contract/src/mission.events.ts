import {
  actor,
  approval_id,
  category,
  digest,
  firstVersion,
  instant,
  json,
  json_object,
  mission_id,
  rank,
  sameShape,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { verdict } from '@nexusmon/governance-contract';
import { artifactRef, attempt, FAULT_CODES, permit, runner_id, task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { constraints, enclosure, plan_source, plannedTask } from './plan.js';

const reason = sealed(text(1, 4_000));

const missionCreatedV1 = z.strictObject({
  mission_id,
  goal: sealed(text(1, 4_000)),
  category,
  rank_asked: rank.optional(),
  constraints,
  params: sealed(json_object),
  template: z.string().optional(),
  hold: z.boolean(),
  priority: z.int(),
  tags: z.array(z.string()),
  parent_mission_id: mission_id.optional(),
  requested_by: actor,
});
/** With an `enclosure`, the parameters and the inputs of all tasks lie there and in no event. */
const missionCreatedV2 = missionCreatedV1.extend({
  params: sealed(json_object).optional(),
  enclosure: enclosure.optional(),
});

/** `fingerprint` is the digest of plan and parameters: what novelty is counted by. */
const missionPlannedV1 = z.strictObject({
  plan_source,
  tasks: z.array(plannedTask.extend({ input: sealed(json) })),
  plan_digest: digest,
  fingerprint: digest,
  rank,
  effective_rank: rank,
});
/** `enclosed`: the input lies in the mission's enclosure. Whether it refers to outputs is what rules need to know. */
const missionPlannedV2 = missionPlannedV1.extend({
  tasks: z.array(
    plannedTask.extend({
      input: sealed(json).optional(),
      enclosed: z.strictObject({ derived: z.boolean() }).optional(),
    }),
  ),
});

/** The earlier version said all that the later one can, in the same words. */
const unchanged = (data: Record<string, unknown>) => data;

/** `result` says what came of the mission; outputs themselves stay with their tasks. */
export const missionResult = z.strictObject({
  kind: z.enum(['outputs', 'brief']),
  fulfilled: z.boolean(),
  artifacts: z.array(artifactRef),
});

export const missionFailure = z.strictObject({
  code: z.enum(['task_failed', 'verification_failed', 'constraint_exceeded', 'input_unresolvable', 'not_permitted']),
  message: z.string(),
  task_id: task_id.optional(),
});

export const missionEvents = {
  MissionCreated: { versions: [missionCreatedV1, missionCreatedV2], upcasts: [unchanged] },
  MissionPlanned: { versions: [missionPlannedV1, missionPlannedV2], upcasts: [unchanged] },
  /** Since version 2 the verdict's signature may be that of a batch. */
  MissionGated: sameShape(z.strictObject({ verdict, approval_id: approval_id.optional() })),
  MissionHeld: firstVersion(z.strictObject({})),
  /** `run` was asked for: what holds the mission from now on is the gate alone. */
  MissionHoldLifted: firstVersion(z.strictObject({})),
  MissionApproved: firstVersion(
    z.strictObject({ approval_id, granted_by: actor, shape: z.boolean(), plan_digest: digest }),
  ),
  MissionQueued: firstVersion(z.strictObject({})),
  MissionStarted: firstVersion(z.strictObject({})),
  MissionVerifying: firstVersion(z.strictObject({})),
  /** Carries what others count by, so that they need nothing else of the mission. */
  MissionCompleted: firstVersion(
    z.strictObject({
      result: missionResult,
      verified: z.boolean(),
      fingerprint: digest,
      category,
      effective_rank: rank,
    }),
  ),
  MissionFailed: firstVersion(z.strictObject({ failure: missionFailure.extend({ message: sealed(z.string()) }) })),
  /** `approval_id`: the approval, of the mission or of a task, whose refusal ended it. */
  MissionCancelled: firstVersion(
    z.strictObject({
      outcome: z.enum(['cancelled', 'denied', 'expired', 'withdrawn']),
      approval_id: approval_id.optional(),
      reason: reason.optional(),
    }),
  ),
  /** Since version 2 the permit's signature may be that of a batch. */
  TaskClaimed: sameShape(
    z.strictObject({ task_id, attempt, runner_id, input_digest: digest, permit, deadline: instant }),
  ),
  TaskGated: firstVersion(
    z.strictObject({
      task_id,
      attempt,
      approval_id,
      effect_digest: digest,
      why: z.enum(['task_gate', 'derived_input']),
    }),
  ),
  TaskApproved: firstVersion(z.strictObject({ task_id, approval_id, granted_by: actor, effect_digest: digest })),
  TaskCompleted: firstVersion(
    z.strictObject({
      task_id,
      attempt,
      output: sealed(json),
      output_ref: artifactRef.optional(),
      artifacts: z.array(artifactRef),
      duration_ms: z.number(),
    }),
  ),
  /** One failed try. `retry_at` says when the next begins; without it the task is dead-lettered. */
  TaskFailed: firstVersion(
    z.strictObject({
      task_id,
      attempt,
      code: z.enum(FAULT_CODES),
      message: sealed(z.string()),
      retry_at: instant.optional(),
      duration_ms: z.number().optional(),
    }),
  ),
  /** The back-off is over. */
  TaskReady: firstVersion(z.strictObject({ task_id })),
  /**
   * The attempt ended through no fault of the worker: the task waits to be claimed again and no try is used up.
   * `retry_at` keeps a task that is released again and again from being claimed in a loop.
   */
  TaskReleased: firstVersion(
    z.strictObject({
      task_id,
      attempt,
      why: z.enum(['lease_expired', 'runner_lost', 'permit_invalid']),
      retry_at: instant.optional(),
    }),
  ),
  TaskDeadLettered: firstVersion(z.strictObject({ task_id, attempt, tries: z.int(), code: z.enum(FAULT_CODES) })),
} satisfies Catalogue;

export type MissionEvent = EventsOf<typeof missionEvents>;
export type MissionResult = z.infer<typeof missionResult>;
export type MissionFailure = z.infer<typeof missionFailure>;
