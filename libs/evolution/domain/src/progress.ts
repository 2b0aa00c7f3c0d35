// Progress
//
// What verified missions amount to. A pure sum: whoever folds the same completions gets the same stage.
//
//   E1. Only a verified mission that pursued its goal counts; a brief counts nothing.
//   E2. The n-th of a fingerprint has novelty 2^-(n-1): doing the same again adds up to no more than two.
//   E3. Count is the sum of novelty; XP the same sum, weighted by rank and category.
//   E4. The stage follows from the count alone; XP opens nothing.

import { CAPABILITIES, STAGES, type Capability, type ProgressDocument, type Stage } from '@nexusmon/evolution-contract';
import type { Category, Rank } from '@nexusmon/shared-contract';

/** The numbers that progress is reckoned by. */
export type ProgressPolicy = Readonly<{
  rank_weights: Readonly<Record<Rank, number>>;
  category_weights: Readonly<Record<Category, number>>;
  /** The count from which a stage is reached. */
  stages: Readonly<Record<Stage, number>>;
  capabilities: Readonly<Record<Capability, Stage>>;
}>;

export const FIRST_PROGRESS_POLICY: ProgressPolicy = {
  rank_weights: { E: 1, D: 2, C: 4, B: 8, A: 16, S: 32 },
  category_weights: { coin: 1.5, forge: 1.2, library: 1, sanctuary: 1 },
  stages: { DORMANT: 0, AWAKENING: 1, FORGING: 10, SOVEREIGN: 50, APEX: 200 },
  capabilities: {
    RECALL: 'AWAKENING',
    COMPANION: 'AWAKENING',
    WORKER_SPAWN: 'FORGING',
    BELIEF_TRACK: 'FORGING',
    AUTONOMOUS_CHAIN: 'SOVEREIGN',
    OPERATOR_FUSION: 'SOVEREIGN',
  },
};

/** A completed mission, as its last event tells of it. `earlier`: verified ones of the same fingerprint before it. */
export type Completion = Readonly<{
  verified: boolean;
  fulfilled: boolean;
  effective_rank: Rank;
  category: Category;
  earlier: number;
}>;

export type Earned = Readonly<{ counts: boolean; novelty: number; xp: number }>;

const NOTHING: Earned = { counts: false, novelty: 0, xp: 0 };

export const score = (completion: Completion, policy: ProgressPolicy = FIRST_PROGRESS_POLICY): Earned => {
  const { verified, fulfilled, effective_rank, category, earlier } = completion;
  if (!verified || !fulfilled) return NOTHING;
  const novelty = 2 ** -earlier;
  return {
    counts: true,
    novelty,
    xp: policy.rank_weights[effective_rank] * policy.category_weights[category] * novelty,
  };
};

export const stageAt = (count: number, policy: ProgressPolicy = FIRST_PROGRESS_POLICY): Stage =>
  STAGES.reduce<Stage>((reached, stage) => (count >= policy.stages[stage] ? stage : reached), 'DORMANT');

/** What a stage opens is what it and the stages before it open; APEX, being last, opens everything. */
export const openCapabilities = (stage: Stage, policy: ProgressPolicy = FIRST_PROGRESS_POLICY): readonly Capability[] =>
  CAPABILITIES.filter((capability) => STAGES.indexOf(policy.capabilities[capability]) <= STAGES.indexOf(stage));

export const progress = (
  { count, xp, verified_missions }: Readonly<{ count: number; xp: number; verified_missions: number }>,
  policy: ProgressPolicy = FIRST_PROGRESS_POLICY,
): ProgressDocument => {
  const stage = stageAt(count, policy);
  const open = new Set(openCapabilities(stage, policy));
  const next_stage = STAGES[STAGES.indexOf(stage) + 1];
  return {
    stage,
    count,
    xp,
    ...(next_stage && { next_stage, next_stage_at: policy.stages[next_stage] }),
    capabilities: CAPABILITIES.map((capability) => ({
      capability,
      open: open.has(capability),
      opens_at: policy.capabilities[capability],
    })),
    verified_missions,
  };
};
