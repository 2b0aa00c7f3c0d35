import { artifact_id, digest, instant, json, mission_id } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { worker_name, workerManifest } from './manifest.js';
import { attempt, effect, permit, task_id } from './permit.js';

export const runner_id = z.string().regex(/^[a-z0-9_-]{1,64}$/);

/** One attempt handed to a runner. It recomputes `effect` from these bytes and checks the permit before it runs. */
export const assignment = z.strictObject({
  mission_id,
  task_id,
  attempt,
  worker: worker_name,
  input: json,
  effect,
  permit,
  deadline: instant,
  traceparent: z.string().optional(),
});
export type Assignment = z.infer<typeof assignment>;

export const artifactRef = z.strictObject({
  artifact_id,
  name: z.string(),
  sha256: digest,
  size: z.int(),
  media_type: z.string(),
});
export type ArtifactRef = z.infer<typeof artifactRef>;

export const FAULT_CODES = [
  'worker_failed',
  'worker_timed_out',
  'output_too_large',
  'output_invalid',
  'input_invalid',
  'permit_invalid',
  'runner_lost',
] as const;
export const taskError = z.strictObject({
  code: z.enum(FAULT_CODES),
  message: z.string().max(4_000),
  retryable: z.boolean(),
});
export type TaskError = z.infer<typeof taskError>;

export const attemptResult = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('completed'),
    output: json,
    output_ref: artifactRef.optional(),
    artifacts: z.array(artifactRef),
    duration_ms: z.number(),
  }),
  z.strictObject({ outcome: z.literal('failed'), error: taskError, duration_ms: z.number() }),
]);
export type AttemptResult = z.infer<typeof attemptResult>;

/** A long poll for work: answers as soon as there is any, else empty after `wait_ms`. */
export const pollRequest = z.strictObject({
  runner_id,
  workers: z.array(z.string()),
  manifests: z.array(workerManifest).optional(),
  slots: z.int().min(0).max(256),
  /** All that it holds. Left out by a runner that has said so a moment ago. */
  running: z.array(z.strictObject({ mission_id, task_id, attempt })).optional(),
  wait_ms: z.int().min(0).max(30_000),
});
export type PollRequest = z.infer<typeof pollRequest>;
/** `stop`: attempts that the runner must end, because they were cancelled, timed out or fenced off. */
export const pollReply = z.strictObject({
  assignments: z.array(assignment),
  stop: z.array(z.strictObject({ mission_id, task_id, attempt })),
});
export type PollReply = z.infer<typeof pollReply>;

/** The end of one attempt. The reply may carry the next assignment for the slot it frees. */
export const reportRequest = z.strictObject({
  runner_id,
  workers: z.array(z.string()),
  mission_id,
  task_id,
  attempt,
  result: attemptResult,
});
export type ReportRequest = z.infer<typeof reportRequest>;
export const reportReply = z.strictObject({
  accepted: z.boolean(),
  reason: z.string().optional(),
  assignments: z.array(assignment),
});
export type ReportReply = z.infer<typeof reportReply>;
