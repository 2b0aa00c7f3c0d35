import { approval_id, category, digest, instant, mission_id, rank } from '@nexusmon/shared-contract';
import { effect, permit } from '@nexusmon/worker-contract';
import { z } from 'zod';

export const gate_outcome = z.enum(['execute', 'execute_and_flag', 'needs_approval', 'blocked']);
export type GateOutcome = z.infer<typeof gate_outcome>;

/** One rule's say. The strictest of all decides. */
export const ruling = z.strictObject({ rule: z.string(), outcome: gate_outcome, explanation: z.string() });

/** The facts that the gate judged, its judgement, and under which policy: enough to explain and to repeat it. */
export const verdictClaims = z.strictObject({
  mission_id,
  plan_digest: digest,
  rank,
  effective_rank: rank,
  outcome: gate_outcome,
  decisive_rule: z.string(),
  rulings: z.array(ruling),
  policy_version: z.int(),
  halt_epoch: z.int(),
  decided_at: instant,
});
/** `signature`: Ed25519 over the canonical JSON of `claims`, alone or in a batch: see signatures.ts of `keys`. */
export const verdict = z.strictObject({ claims: verdictClaims, signature: z.string() });
export type Verdict = z.infer<typeof verdict>;

/** A verdict word for word, as the text that was signed: the canonical JSON of its claims. */
export const verdictText = z.strictObject({ text: z.string(), signature: z.string() });
export type VerdictText = z.infer<typeof verdictText>;

/** Questions of many missions travel together: each names the trace that its answer belongs to. */
const traceparent = z.string().optional();

export const judgeRequest = z.strictObject({
  mission_id,
  plan_digest: digest,
  rank,
  effective_rank: rank,
  category,
  workers: z.array(z.strictObject({ name: z.string(), risk_level: rank })),
  traceparent,
});
export type JudgeRequest = z.infer<typeof judgeRequest>;

export const permitRequest = z.strictObject({
  effect,
  /** Governance's own word on the mission: what rank it is of is read there, not in the effect. */
  verdict: verdictText,
  plan_digest: digest,
  /** The approval of the mission, where it has one. */
  approval_id: approval_id.optional(),
  /** The approval of this task, where it has one. */
  task_approval_id: approval_id.optional(),
  task_gate: z.boolean(),
  /** Whether the input holds outputs of earlier tasks: bytes that nobody saw when the plan was approved. */
  derived_input: z.boolean(),
  traceparent,
});
export type PermitRequest = z.infer<typeof permitRequest>;

export const permitAnswer = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('permitted'), permit }),
  z.strictObject({
    kind: z.literal('needs_approval'),
    why: z.enum(['task_gate', 'derived_input']),
    effect_digest: digest,
  }),
  z.strictObject({ kind: z.literal('refused'), code: z.string(), detail: z.string() }),
]);
export type PermitAnswer = z.infer<typeof permitAnswer>;
