// Progress
//
// What verified missions amount to. A pure sum: whoever folds the same completions and reviews gets the same stage.
//
//   E1. Only a verified mission that pursued its goal counts; a brief counts nothing.
//   E2. The n-th of a fingerprint has novelty 2^-(n-1): doing the same again adds up to less than two.
//   E3. Count is the sum of novelty; XP the same sum, weighted by rank and category.
//   E4. The stage follows from the count alone; XP opens nothing.
//   E5. A mission that was reviewed as not fine takes back what it gave, and as much XP again. What is taken may be
//       more than there is: XP can fall below nothing.
//   E6. Sums are exact: XP is reckoned in tenths, and novelty ends at 2^-30, so that every sum is a number that a
//       double holds as it is. Whatever the order, the same missions give the same sums.

import type { AccountDocument, Stage } from '@nexusmon/evolution-contract';
import { STAGES } from '@nexusmon/evolution-contract';
import type { Category, Rank } from '@nexusmon/shared-contract';
import { FIRST_PROGRESS_POLICY, type ProgressPolicy } from './policy.js';

const TENTHS = 10;
/** Later repetitions add nothing. */
const HALVINGS_MAX = 30;

/** A completed mission, as its last event tells of it. `earlier`: verified ones of the same fingerprint before it. */
export type Completion = Readonly<{
  verified: boolean;
  fulfilled: boolean;
  effective_rank: Rank;
  category: Category;
  earlier: number;
}>;

export type Earned = Readonly<{ counts: boolean; novelty: number; xp_tenths: number }>;

const NOTHING: Earned = { counts: false, novelty: 0, xp_tenths: 0 };

export const score = (completion: Completion, policy: ProgressPolicy = FIRST_PROGRESS_POLICY): Earned => {
  const { verified, fulfilled, effective_rank, category, earlier } = completion;
  if (!verified || !fulfilled) return NOTHING;
  const novelty = earlier > HALVINGS_MAX ? 0 : 2 ** -earlier;
  const weight = Math.round(policy.rank_weights[effective_rank] * policy.category_weights[category] * TENTHS);
  return { counts: true, novelty, xp_tenths: weight * novelty };
};

/** What is added to the totals for one mission. */
export type Share = Readonly<{ count: number; xp_tenths: number; missions: number }>;

/** What a mission adds in the end, given how it was reviewed. */
export const shareOf = ({ counts, novelty, xp_tenths }: Earned, verdict: 'fine' | 'not_fine' | undefined): Share => {
  if (!counts) return { count: 0, xp_tenths: 0, missions: 0 };
  return verdict === 'not_fine'
    ? { count: 0, xp_tenths: -xp_tenths, missions: 0 }
    : { count: novelty, xp_tenths, missions: 1 };
};

export const xpOf = (xp_tenths: number): number => xp_tenths / TENTHS;

export const stageAt = (count: number, policy: ProgressPolicy = FIRST_PROGRESS_POLICY): Stage =>
  STAGES.reduce<Stage>((reached, stage) => (count >= policy.stages[stage] ? stage : reached), 'DORMANT');

/** Why a mission counts, or does not, in one word. */
export type AccountReason = AccountDocument['reason'];

const EXPLANATIONS: Readonly<Record<AccountReason, (nth: number) => string>> = {
  first_of_its_kind: () => 'verified, and the first with this plan and these parameters',
  repeated: (nth) =>
    `verified, and number ${nth} with this plan and these parameters: each counts half of the one before`,
  taken_back: () => 'reviewed as not fine: what it gave was taken back, and as much XP again',
  brief: () => 'a brief: it says what could be done and pursues nothing',
  unverified: () => 'it completed, and nothing verified it',
  failed: () => 'it failed',
  cancelled: () => 'it was cancelled',
};

/** `nth`: which of its fingerprint it was. */
export const explained = (reason: AccountReason, nth: number): string => EXPLANATIONS[reason](nth);
