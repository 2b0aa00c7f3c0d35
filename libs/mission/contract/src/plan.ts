import { digest, json, json_object, rank } from '@nexusmon/shared-contract';
import { task_id, worker_name } from '@nexusmon/worker-contract';
import { z } from 'zod';

export const TASKS_MAX = 256;
export const GOAL_LENGTH_MAX = 4_000;
export const DEFAULT_RETRY = { max_attempts: 3, backoff_seconds: 1 } as const;
export const BACKOFF_SECONDS_MAX = 60;
export const LEASE_SECONDS = 30;
/** How long after its deadline an attempt is given up when its runner says nothing. */
export const DEADLINE_GRACE_SECONDS = 5;

export const retry = z.strictObject({
  max_attempts: z.int().min(1).max(20).default(DEFAULT_RETRY.max_attempts),
  /** Doubles with every attempt, up to 60 s. */
  backoff_seconds: z.number().min(0).max(BACKOFF_SECONDS_MAX).default(DEFAULT_RETRY.backoff_seconds),
});

/**
 * A task as an operator writes it. Anywhere in `input`, `{"$output": "<task_id>", "pointer": "/a/b"}` stands for (a
 * part of) the output of an earlier task that this one depends on; `pointer` is RFC 6901 and may be left out.
 */
export const planTask = z
  .strictObject({
    task_id,
    worker: worker_name,
    input: json.default({}),
    depends_on: z.array(task_id).max(TASKS_MAX).default([]),
    retry: retry.optional(),
    timeout_seconds: z.number().positive().max(86_400).optional(),
    risk_level: rank.optional(),
    requires_approval: z.boolean().default(false),
  })
  .meta({ id: 'PlanTask' });
export type PlanTask = z.infer<typeof planTask>;

export const plan = z.strictObject({ tasks: z.array(planTask).min(1).max(TASKS_MAX) }).meta({ id: 'Plan' });
export type Plan = z.infer<typeof plan>;

/** A task with every default settled: what the plan digest covers and what will run. */
export const plannedTask = z.strictObject({
  task_id,
  worker: worker_name,
  worker_version: z.string(),
  worker_digest: z.string(),
  input: json,
  depends_on: z.array(task_id),
  retry: z.strictObject({ max_attempts: z.int(), backoff_seconds: z.number() }),
  timeout_seconds: z.number(),
  risk_level: rank,
  requires_approval: z.boolean(),
  /** Whether the task checks the work of others: the mission is `verifying` while only such tasks are left. */
  verifies: z.boolean(),
});
export type PlannedTask = z.infer<typeof plannedTask>;

/** Names the one blob that holds what of a mission is too large for its events: its sealed bytes, as they lie there. */
export const enclosure = z.strictObject({ sha256: digest, size: z.int().positive() });
export type Enclosure = z.infer<typeof enclosure>;
/** What is in the blob once it is opened. `inputs` stand in the order of the plan. */
export const enclosedContent = z.strictObject({ params: json_object, inputs: z.array(json) });
export type EnclosedContent = z.infer<typeof enclosedContent>;

export const plan_source = z.enum(['request', 'template', 'planner']);
export const constraints = z
  .strictObject({
    max_time_seconds: z.number().positive().max(2_592_000).optional(),
    max_steps: z.int().min(1).max(TASKS_MAX).optional(),
    max_cost_usd: z.number().min(0).max(1_000_000).optional(),
  })
  .meta({ id: 'Constraints' });
export type Constraints = z.infer<typeof constraints>;
