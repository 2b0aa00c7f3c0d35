import { approval_id, category, digest, instant, json, json_object, mission_id, rank } from '@nexusmon/shared-contract';
import { gate_outcome, verdict } from '@nexusmon/governance-contract';
import { artifactRef, task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { missionFailure, missionResult } from './mission.events.js';
import { constraints, enclosure, plan_source } from './plan.js';

export const MISSION_STATUSES = [
  'accepted',
  'awaiting_approval',
  'suggested',
  'queued',
  'running',
  'paused',
  'verifying',
  'completed',
  'failed',
  'cancelled',
] as const;
export const mission_status = z.enum(MISSION_STATUSES).meta({ id: 'MissionStatus' });
export type MissionStatus = z.infer<typeof mission_status>;

export const TASK_STATUSES = [
  'waiting',
  'ready',
  'awaiting_approval',
  'running',
  'backing_off',
  'completed',
  'failed',
  'cancelled',
] as const;
export const task_status = z.enum(TASK_STATUSES).meta({ id: 'TaskStatus' });
export type TaskStatus = z.infer<typeof task_status>;

/** What an operator can do to a mission. */
export const MISSION_VERBS = ['run', 'approve', 'deny', 'cancel'] as const;
export type MissionVerb = (typeof MISSION_VERBS)[number];

const output_bytes = z
  .int()
  .optional()
  .describe('Of an output that is left out, since the document would be too large with it. /tasks has it.');

export const taskDocument = z
  .strictObject({
    task_id,
    worker: z.string(),
    status: task_status,
    attempt: z.int(),
    tries: z.int(),
    risk_level: rank,
    requires_approval: z.boolean(),
    /** Absent where the enclosure of the mission holds it and was not opened. */
    input: json.optional(),
    depends_on: z.array(task_id),
    timeout_seconds: z.number(),
    output: json.optional(),
    output_bytes,
    output_ref: artifactRef.optional(),
    artifacts: z.array(artifactRef),
    approval_id: approval_id.optional(),
    retry_at: instant.optional(),
    started_at: instant.optional(),
    ended_at: instant.optional(),
    error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: 'Task' });
export type TaskDocument = z.infer<typeof taskDocument>;

/** Why the mission may or may not run, and who said so. */
export const decision = z
  .strictObject({
    ...verdict.shape.claims.shape,
    /** What it came to: the gate's word, or how the approval that it asked for was refused. */
    outcome: z.enum([...gate_outcome.options, 'denied', 'expired', 'withdrawn']),
    gate_outcome,
    approval_id: approval_id.optional(),
    /** Of the approval: granted, or how it was refused. */
    outcome_of_approval: z.enum(['granted', 'denied', 'expired', 'withdrawn']).optional(),
    granted_by: z.string().optional(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Decision' });

/**
 * Where parameters and inputs are that are too large for the log. `opened`: they stand in this document. `left_out`:
 * lists do not open it, reading the mission does. `unavailable`: the vault is away. `lost`: they are gone for good.
 */
export const enclosureDocument = enclosure
  .extend({ status: z.enum(['opened', 'left_out', 'unavailable', 'lost']) })
  .meta({ id: 'Enclosure' });
export type EnclosureStatus = z.infer<typeof enclosureDocument>['status'];

export const missionDocument = z
  .strictObject({
    mission_id,
    goal: z.string(),
    category,
    rank,
    effective_rank: rank,
    status: mission_status,
    template: z.string().optional(),
    plan_source,
    plan_digest: digest,
    /** Absent where the enclosure holds them and was not opened. */
    params: json_object.optional(),
    tasks: z.array(taskDocument),
    enclosure: enclosureDocument.optional(),
    constraints,
    hold: z.boolean(),
    priority: z.int(),
    tags: z.array(z.string()),
    parent_mission_id: mission_id.optional(),
    decision: decision.optional(),
    created_at: instant,
    started_at: instant.optional(),
    ended_at: instant.optional(),
    requested_by: z.string(),
    result: missionResult.extend({ output: json.optional(), output_bytes }).optional(),
    error: missionFailure.optional(),
    reason: z.string().optional(),
    links: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Mission' });
export type MissionDocument = z.infer<typeof missionDocument>;
