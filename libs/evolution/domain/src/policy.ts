// The numbers and words that evolution goes by. The rules read them and hold none of their own.

import type { Capability, Stage } from '@nexusmon/evolution-contract';
import type { Category, Rank } from '@nexusmon/shared-contract';

export type CapabilityPolicy = Readonly<{
  /** The stage that opens it. */
  opens_at: Stage;
  /** What is refused while it is closed, and what works all the same. */
  guards: string;
  without: string;
  /** The XP from which its second, third … level is reached; the first comes with the capability itself. */
  levels_at_xp: readonly number[];
}>;

export type ProgressPolicy = Readonly<{
  rank_weights: Readonly<Record<Rank, number>>;
  /** With one decimal at most: XP is reckoned in tenths. */
  category_weights: Readonly<Record<Category, number>>;
  /** The count from which a stage is reached. */
  stages: Readonly<Record<Stage, number>>;
  capabilities: Readonly<Record<Capability, CapabilityPolicy>>;
}>;

const AWAKENING_LEVELS = [20, 80, 320];
const FORGING_LEVELS = [80, 320, 1_280];
const SOVEREIGN_LEVELS = [320, 1_280, 5_120];

export const FIRST_PROGRESS_POLICY: ProgressPolicy = {
  rank_weights: { E: 1, D: 2, C: 4, B: 8, A: 16, S: 32 },
  category_weights: { coin: 1.5, forge: 1.2, library: 1, sanctuary: 1 },
  stages: { DORMANT: 0, AWAKENING: 1, FORGING: 10, SOVEREIGN: 50, APEX: 200 },
  capabilities: {
    RECALL: {
      opens_at: 'AWAKENING',
      guards: 'retrieval of past missions, artifacts and knowledge into plans, briefs and prompts',
      without: 'search by the operator',
      levels_at_xp: AWAKENING_LEVELS,
    },
    COMPANION: {
      opens_at: 'AWAKENING',
      guards: 'conversation',
      without: 'instructions become missions',
      levels_at_xp: AWAKENING_LEVELS,
    },
    WORKER_SPAWN: {
      opens_at: 'FORGING',
      guards: 'more than one worker at a time on one companion task; plugin installation that nobody typed',
      without: 'plans with any number of tasks; installation by the operator',
      levels_at_xp: FORGING_LEVELS,
    },
    BELIEF_TRACK: {
      opens_at: 'FORGING',
      guards: 'beliefs with confidence',
      without: 'nothing of it',
      levels_at_xp: FORGING_LEVELS,
    },
    AUTONOMOUS_CHAIN: {
      opens_at: 'SOVEREIGN',
      guards: 'missions that create missions by themselves',
      without: 'the parts are proposed, and the operator approves them together',
      levels_at_xp: SOVEREIGN_LEVELS,
    },
    OPERATOR_FUSION: {
      opens_at: 'SOVEREIGN',
      guards: 'standing delegations: a described class of missions, with budget and expiry',
      without: 'approval one by one',
      levels_at_xp: SOVEREIGN_LEVELS,
    },
  },
};
