// The last gate before a worker runs.
//
//   P1. The effect is computed from the bytes that are about to run, never taken from the message. What differs from
//       what was permitted in one bit does not run.
//   P2. The permit is governance's: its signature is checked with governance's public key, alone or as that of a batch.
//   P3. A permit is for one attempt of one task, and for a short time.

import { canonical, sha256Hex } from '@nexusmon/event-log';
import type { Signatures } from '@nexusmon/keys';
import { reachesOut, type Assignment, type Effect, type WorkerManifest } from '@nexusmon/worker-contract';

/** How far the clocks of governance and of this machine may be apart. */
const CLOCK_SKEW_MS_MAX = 5_000;
const PERMIT_LIFE_MS_MAX = 60_000;

/** What a permit says of its attempt in so many words, beside the digest. */
const NAMES = ['mission_id', 'task_id', 'attempt', 'rank'] as const;

export type PermitFault = Readonly<{ why: string; retryable: boolean }>;

/** What this runner would do if it ran the assignment. Limits and rank are the permitted ones, and are kept to. */
const effectOf = ({ mission_id, task_id, attempt, input, effect }: Assignment, manifest: WorkerManifest): Effect => ({
  attempt,
  // What is permitted is kept to by the worker that is given a way out; no other is given any.
  egress: reachesOut(manifest.name) ? effect.egress : [],
  input_digest: sha256Hex(canonical(input)),
  limits: effect.limits,
  mission_id,
  rank: effect.rank,
  task_id,
  worker: manifest.name,
  worker_digest: manifest.digest,
  worker_version: manifest.version,
});

const firstDifference = (asked: Effect, own: Effect): string | undefined =>
  (Object.keys(own) as (keyof Effect)[]).find((field) => canonical(asked[field]) !== canonical(own[field]));

const refused = (why: string): PermitFault => ({ why, retryable: false });

/** Why the assignment may not run; undefined when it may. */
export const permitFault = (
  assignment: Assignment,
  manifest: WorkerManifest,
  governance: Signatures,
  now_ms: number,
): PermitFault | undefined => {
  const { claims, signature } = assignment.permit;
  const effect = effectOf(assignment, manifest);
  if (sha256Hex(canonical(effect)) !== claims.effect_digest) {
    const field = firstDifference(assignment.effect, effect);
    return refused(`the permit is not for what would run here${field ? ` (${field} differs)` : ''}`);
  }
  if (NAMES.some((field) => effect[field] !== claims[field])) return refused('the permit names another attempt');
  if (!governance.isSigned(canonical(claims), signature)) return refused('the permit is not signed by governance');

  const [issued_ms, expires_ms] = [Date.parse(claims.issued_at), Date.parse(claims.expires_at)];
  if (expires_ms - issued_ms > PERMIT_LIFE_MS_MAX) return refused('the permit is for too long a time');
  if (issued_ms > now_ms + CLOCK_SKEW_MS_MAX) return refused('the permit is from the future');
  // Late is nobody's forgery: a fresh permit may come with the next claim.
  if (now_ms >= expires_ms) return { why: 'the permit has expired', retryable: true };
  return undefined;
};
