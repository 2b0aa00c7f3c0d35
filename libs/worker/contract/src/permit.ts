import { actor, approval_id, digest, instant, mission_id, rank } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { worker_name } from './manifest.js';

export const task_id = z.string().regex(/^[a-z0-9_-]{1,64}$/);
/** The claim number of a task, from 1: the fencing token of everything done under it. */
export const attempt = z.int().min(1);

/**
 * What one attempt will do, to the byte. Its digest (SHA-256 of the canonical JSON) is what a permit allows. The fields
 * stand in the order of that text, here and where one is made: three times for each task it is written as it is.
 */
export const effect = z.strictObject({
  attempt,
  egress: z.array(z.string()),
  input_digest: digest,
  limits: z.strictObject({ output_bytes_max: z.int().positive(), timeout_seconds: z.number().positive() }),
  mission_id,
  rank,
  task_id,
  worker: worker_name,
  worker_digest: digest,
  worker_version: z.string(),
});
export type Effect = z.infer<typeof effect>;

/** Governance's leave to run one attempt. Expires at most 60 s after it was issued; nothing may start later. */
export const permitClaims = z.strictObject({
  effect_digest: digest,
  mission_id,
  task_id,
  attempt,
  plan_digest: digest,
  rank,
  policy_version: z.int(),
  halt_epoch: z.int(),
  approval_id: approval_id.optional(),
  authority: actor,
  issued_at: instant,
  expires_at: instant,
});
export type PermitClaims = z.infer<typeof permitClaims>;

/** `signature`: Ed25519 over the canonical JSON of `claims`, alone or in a batch: see signatures.ts of `keys`. */
export const permit = z.strictObject({ claims: permitClaims, signature: z.string() });
export type Permit = z.infer<typeof permit>;
