// Permit
//
// Whether one attempt of one task may run, given the approvals that were granted.
//
//   T1. At A and S the mission's approval must be granted, for this mission and this plan.
//   T2. A task with a gate of its own needs an approval of its own, for exactly what it is about to do.
//   T3. At A and S an input that holds earlier outputs needs the same, unless the mission's grant covers its shape.
//   T4. A rank that the policy does not know is refused.
//   T5. Nothing is reached outside that the policy does not list.

import type { PermitRequest } from '@nexusmon/governance-contract';
import { RANKS } from '@nexusmon/shared-contract';
import type { Approval } from './approval.js';
import { isHighRank, rankPolicyOf, type Policy } from './policy.js';

/** A request whose verdict has been found to be governance's own. */
type Judged = Omit<PermitRequest, 'verdict'> & Readonly<{ effect_digest: string }>;

export type PermitRuling =
  /** `approval_id`: the grant that the attempt rests on, where it needs one. */
  | Readonly<{ kind: 'permitted'; approval_id?: string }>
  | Readonly<{ kind: 'needs_approval'; why: 'task_gate' | 'derived_input' }>
  | Readonly<{ kind: 'refused'; code: 'rank-unknown' | 'approval-missing' | 'egress-not-allowed'; detail: string }>;

/** `approvals`: those that the request names, by id. `effect_digest`: of what is about to be done. */
export const permitRuling = (
  request: Judged,
  approvals: ReadonlyMap<string, Approval>,
  policy: Policy,
): PermitRuling => {
  const { effect, approval_id, task_approval_id, task_gate, derived_input } = request;
  const row = rankPolicyOf(policy, effect.rank);
  if (!row) return { kind: 'refused', code: 'rank-unknown', detail: `the policy does not know rank ${effect.rank}` };
  if (row.outcome === 'blocked')
    return { kind: 'refused', code: 'approval-missing', detail: `${policy.name} blocks rank ${effect.rank}` };

  const unlisted = effect.egress.filter((place) => !policy.egress.includes(place));
  if (unlisted.length > 0)
    return {
      kind: 'refused',
      code: 'egress-not-allowed',
      detail: `${policy.name} does not list ${unlisted.join(', ')}`,
    };

  const guarded = isHighRank(effect.rank) || row.outcome === 'needs_approval';
  const whole = grantFor(request, approvals, approval_id, undefined);
  if (guarded && !whole)
    return {
      kind: 'refused',
      code: 'approval-missing',
      detail: `rank ${effect.rank} runs only under a granted approval of its mission`,
    };
  const unseen = guarded && derived_input && whole?.shape !== true;
  if (!task_gate && !unseen)
    return whole && approval_id !== undefined ? { kind: 'permitted', approval_id } : { kind: 'permitted' };
  if (task_approval_id !== undefined && grantFor(request, approvals, task_approval_id, effect.task_id))
    return { kind: 'permitted', approval_id: task_approval_id };
  return { kind: 'needs_approval', why: task_gate ? 'task_gate' : 'derived_input' };
};

/** The grant of this approval, if it is one for this plan and, for a task, for this effect. */
const grantFor = (
  { effect, plan_digest, effect_digest }: Judged,
  approvals: ReadonlyMap<string, Approval>,
  approval_id: string | undefined,
  task_id: string | undefined,
) => {
  const approval = approval_id === undefined ? undefined : approvals.get(approval_id);
  if (approval?.status !== 'granted') return undefined;
  const { request, grant } = approval;
  const bound =
    request.mission_id === effect.mission_id && request.plan_digest === plan_digest && request.task_id === task_id;
  // Leave that was asked for at a lower rank was given on easier terms.
  const ranked = RANKS.indexOf(request.rank) >= RANKS.indexOf(effect.rank);
  return bound && ranked && (task_id === undefined || request.effect_digest === effect_digest) ? grant : undefined;
};
