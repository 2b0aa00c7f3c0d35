// Capabilities
//
// What is open, and why.
//
//   C1. A stage opens its capabilities and those of the stages before it; XP alone opens nothing.
//   C2. An operator's last ruling counts before the stage, whichever way: what was granted stays open when the stage
//       falls, what was revoked stays closed when it rises.
//   C3. XP raises the level of what is open; what is closed has none.

import {
  CAPABILITIES,
  STAGES,
  type Capability,
  type CapabilityDocument,
  type ProgressDocument,
  type RulingDocument,
  type Stage,
  type TreeDocument,
} from '@nexusmon/evolution-contract';
import { FIRST_PROGRESS_POLICY, type ProgressPolicy } from './policy.js';
import { stageAt, xpOf } from './progress.js';

export type Totals = Readonly<{ count: number; xp_tenths: number; verified_missions: number }>;
export type Rulings = ReadonlyMap<Capability, RulingDocument>;

const isReached = (wanted: Stage, present: Stage) => STAGES.indexOf(wanted) <= STAGES.indexOf(present);

const standing = (
  capability: Capability,
  { count, xp_tenths }: Totals,
  ruling: RulingDocument | undefined,
  policy: ProgressPolicy,
): CapabilityDocument => {
  const { opens_at, guards, without, levels_at_xp } = policy.capabilities[capability];
  const by_stage = isReached(opens_at, stageAt(count, policy));
  const open = ruling ? ruling.ruling === 'granted' : by_stage;
  const xp = xpOf(xp_tenths);
  const next_level_at_xp = open ? levels_at_xp.find((at_xp) => xp < at_xp) : undefined;
  const mark = policy.stages[opens_at];
  const why = by_stage ? `${opens_at} opens it` : `${opens_at} opens it: the count is ${count} of ${mark}`;
  return {
    capability,
    open,
    opens_at,
    level: open ? 1 + levels_at_xp.filter((at_xp) => xp >= at_xp).length : 0,
    ...(next_level_at_xp === undefined ? {} : { next_level_at_xp }),
    guards,
    without,
    why: ruling ? `${ruling.ruling} by ${ruling.by}: ${ruling.reason}` : why,
    ...(ruling ? { ruling } : {}),
  };
};

export const progress = (
  totals: Totals,
  rulings: Rulings,
  policy: ProgressPolicy = FIRST_PROGRESS_POLICY,
): ProgressDocument => {
  const { count, xp_tenths, verified_missions } = totals;
  const stage = stageAt(count, policy);
  const next_stage = STAGES[STAGES.indexOf(stage) + 1];
  const next_stage_at = next_stage && policy.stages[next_stage];
  return {
    stage,
    count,
    xp: xpOf(xp_tenths),
    ...(next_stage_at === undefined ? {} : { next_stage, next_stage_at, missing: next_stage_at - count }),
    capabilities: CAPABILITIES.map((capability) => standing(capability, totals, rulings.get(capability), policy)),
    verified_missions,
  };
};

/** What unlocks what: stages by count, capabilities by stage, levels by XP. */
export const tree = (
  totals: Totals,
  rulings: Rulings,
  policy: ProgressPolicy = FIRST_PROGRESS_POLICY,
): TreeDocument => {
  const { stage: present, capabilities } = progress(totals, rulings, policy);
  return {
    stages: STAGES.map((stage) => ({
      stage,
      at_count: policy.stages[stage],
      reached: isReached(stage, present),
      opens: CAPABILITIES.filter((capability) => policy.capabilities[capability].opens_at === stage),
    })),
    capabilities: capabilities.map((one) => ({
      ...one,
      levels: policy.capabilities[one.capability].levels_at_xp.map((at_xp, index) => ({ level: index + 2, at_xp })),
    })),
  };
};
