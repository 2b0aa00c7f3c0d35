// The gate: verdicts on missions and permits for attempts, signed. It appends nothing: whoever asked commits the
// answer.

import { Injectable } from '@nestjs/common';
import { Config } from '@nexusmon/config';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { secondsAfter } from '@nexusmon/kernel';
import {
  verdictClaims,
  type JudgeRequest,
  type PermitAnswer,
  type PermitRequest,
  type Verdict,
  type VerdictText,
} from '@nexusmon/governance-contract';
import { FIRST_POLICY, judge, permitRuling, type Approval, type Policy } from '@nexusmon/governance-domain';
import { RANKS, type Rank } from '@nexusmon/shared-contract';
import { builtinContracts, reachesOut, type Effect, type PermitClaims } from '@nexusmon/worker-contract';
import { LRUCache } from 'lru-cache';
import { Approvals } from '../approval/approvals.js';
import { Signer } from './signer.js';

const PERMIT_SECONDS = 60;
/** Rises with every HALT; there is no way to HALT yet, so every permit is of the first epoch. */
const HALT_EPOCH = 0;
/** A verdict comes back with each task of its mission: so many of those in motion are read once. */
const VERDICTS_KEPT = 512;

type VerdictClaims = Verdict['claims'];
/** An answer that is still to be signed, or one that needs no signature. */
export type Ruling = Readonly<{ kind: 'claims'; claims: PermitClaims }> | Exclude<PermitAnswer, { kind: 'permitted' }>;

const isBelow = (one: Rank, other: Rank) => RANKS.indexOf(one) < RANKS.indexOf(other);
const riskOfBuiltin = new Map<string, Rank>(
  Object.entries(builtinContracts).map(([name, { risk_level }]) => [name, risk_level]),
);

/** An approval outlives a retry: it is for what is done, not for which attempt does it. */
const approvable = ({ attempt: _, ...effect }: Effect) => sha256Hex(canonical(effect));

@Injectable()
export class Gate {
  /** The first policy, with the hosts that this installation lists. */
  private readonly policy: Policy;
  /** By signature. Whatever differs in one character is looked at anew. */
  private readonly verdicts = new LRUCache<string, Readonly<{ text: string; claims: VerdictClaims }>>({
    max: VERDICTS_KEPT,
  });

  constructor(
    private readonly approvals: Approvals,
    private readonly signer: Signer,
    config: Config,
  ) {
    this.policy = { ...FIRST_POLICY, egress: config.egress.map(({ text }) => text) };
  }

  /** Verdicts of one moment are signed together; so are permits. */
  sign(claims: readonly VerdictClaims[]): Verdict[] {
    return this.signer.signAll(claims);
  }

  judge(facts: JudgeRequest): VerdictClaims {
    const workers = facts.workers.map(({ name, risk_level }) => ({
      name,
      risk_level: atLeastItsOwn(name, risk_level),
    }));
    const { mission_id, plan_digest, rank, effective_rank } = facts;
    return {
      mission_id,
      plan_digest,
      rank,
      effective_rank,
      ...judge({ ...facts, workers }, FIRST_POLICY),
      policy_version: FIRST_POLICY.version,
      halt_epoch: HALT_EPOCH,
      decided_at: new Date().toISOString(),
    };
  }

  signPermits(rulings: readonly Ruling[]): PermitAnswer[] {
    const permits = this.signer.signAll(rulings.flatMap((ruling) => (ruling.kind === 'claims' ? [ruling.claims] : [])));
    return rulings.map((ruling) => {
      if (ruling.kind !== 'claims') return ruling;
      const permit = permits.shift();
      if (!permit) throw new RangeError('fewer permits than claims');
      return { kind: 'permitted', permit };
    });
  }

  /** What a permit would say, or why there is none. */
  async permit(request: PermitRequest): Promise<Ruling> {
    const { effect, plan_digest } = request;
    const doubt = this.doubtOf(request);
    if (doubt) return { kind: 'refused', ...doubt };
    const effect_digest = approvable(effect);
    const ruling = permitRuling({ ...request, effect_digest }, await this.namedBy(request), this.policy);
    if (ruling.kind === 'refused') return ruling;
    if (ruling.kind === 'needs_approval') return { ...ruling, effect_digest };
    const issued_at = new Date().toISOString();
    const { mission_id, task_id, attempt, rank } = effect;
    const claims: PermitClaims = {
      effect_digest: sha256Hex(canonical(effect)),
      mission_id,
      task_id,
      attempt,
      plan_digest,
      rank,
      policy_version: FIRST_POLICY.version,
      halt_epoch: HALT_EPOCH,
      ...(ruling.approval_id ? { approval_id: ruling.approval_id } : {}),
      authority: 'service:governance',
      issued_at,
      expires_at: secondsAfter(issued_at, PERMIT_SECONDS),
    };
    return { kind: 'claims', claims };
  }

  /** Why a request cannot be what it says. Nothing in it is believed that governance has not said or cannot look up. */
  private doubtOf({ effect, plan_digest, verdict }: PermitRequest): { code: string; detail: string } | undefined {
    const claims = this.ownVerdict(verdict);
    if (!claims) return { code: 'verdict-forged', detail: 'the verdict is not signed by governance' };
    if (claims.mission_id !== effect.mission_id || claims.plan_digest !== plan_digest)
      return { code: 'verdict-mismatch', detail: 'the verdict is on another mission or plan' };
    if (claims.outcome === 'blocked') return { code: 'blocked', detail: `blocked by ${claims.decisive_rule}` };
    const own = riskOfBuiltin.get(effect.worker) ?? effect.rank;
    const least = isBelow(own, claims.effective_rank) ? claims.effective_rank : own;
    if (isBelow(effect.rank, least))
      return { code: 'rank-understated', detail: `this runs at rank ${least}, not ${effect.rank}` };
    if (effect.egress.length > 0 && !reachesOut(effect.worker))
      return { code: 'egress-not-allowed', detail: `${effect.worker} is given no way out` };
    return undefined;
  }

  /** What governance has said of a mission; undefined for what it has not said, or not of a mission. */
  private ownVerdict({ text, signature }: VerdictText): VerdictClaims | undefined {
    const known = this.verdicts.get(signature);
    if (known?.text === text) return known.claims;
    if (!this.signer.isOurs(text, signature)) return undefined;
    // Permits are signed with the same key.
    const { data: claims } = verdictClaims.safeParse(JSON.parse(text));
    if (claims) this.verdicts.set(signature, { text, claims });
    return claims;
  }

  /** The approvals as the log has them: a grant is never believed from the request. */
  private async namedBy({ approval_id, task_approval_id }: PermitRequest): Promise<ReadonlyMap<string, Approval>> {
    const ids = [approval_id, task_approval_id].filter((id) => id !== undefined);
    return new Map(await Promise.all(ids.map(async (id) => [id, await this.approvals.state(id)] as const)));
  }
}

const atLeastItsOwn = (name: string, claimed: JudgeRequest['effective_rank']) => {
  const own = riskOfBuiltin.get(name);
  return own !== undefined && isBelow(claimed, own) ? own : claimed;
};
