// The policy document: every number and table that governance goes by. The rules read it and hold none of their own.

import type { GateOutcome } from '@nexusmon/governance-contract';
import type { Rank } from '@nexusmon/shared-contract';

export type RankPolicy = Readonly<{
  /** What the rank rule says of a mission of this effective rank. */
  outcome: GateOutcome;
  /** Silence for this long means no. */
  approval_expires_seconds: number;
  /** A grant counts only after this long, and can be withdrawn until then. */
  cooling_off_seconds: number;
}>;

export type Policy = Readonly<{
  name: string;
  version: number;
  ranks: Readonly<Record<Rank, RankPolicy>>;
  /** What may be reached outside, each as the one way to write it. */
  egress: readonly string[];
}>;

const HOUR_SECONDS = 3_600;
const rankPolicy = (outcome: GateOutcome, expires_hours: number, cooling_off_seconds = 0): RankPolicy => ({
  outcome,
  approval_expires_seconds: expires_hours * HOUR_SECONDS,
  cooling_off_seconds,
});

export const FIRST_POLICY: Policy = {
  name: 'policy-1',
  version: 1,
  ranks: {
    E: rankPolicy('execute', 72),
    D: rankPolicy('execute', 72),
    C: rankPolicy('execute_and_flag', 72),
    B: rankPolicy('execute_and_flag', 72),
    A: rankPolicy('needs_approval', 24),
    S: rankPolicy('needs_approval', 4, 10),
  },
  egress: [],
};

/** The policy's row for a rank; undefined for a rank that it does not know. */
export const rankPolicyOf = (policy: Policy, rank: string): RankPolicy | undefined =>
  new Map<string, RankPolicy>(Object.entries(policy.ranks)).get(rank);

/** A and S stay closed without a person, whatever a policy says. */
export const isHighRank = (rank: string): boolean => rank === 'A' || rank === 'S';
