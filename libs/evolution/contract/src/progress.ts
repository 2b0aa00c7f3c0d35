import { actor, category, instant, mission_id, pageQuery, rank } from '@nexusmon/shared-contract';
import { z } from 'zod';

export const STAGES = ['DORMANT', 'AWAKENING', 'FORGING', 'SOVEREIGN', 'APEX'] as const;
export const stage = z.enum(STAGES).meta({ id: 'Stage' });
export type Stage = z.infer<typeof stage>;

export const CAPABILITIES = [
  'RECALL',
  'COMPANION',
  'WORKER_SPAWN',
  'BELIEF_TRACK',
  'AUTONOMOUS_CHAIN',
  'OPERATOR_FUSION',
] as const;
export const capability = z.enum(CAPABILITIES).meta({ id: 'Capability' });
export type Capability = z.infer<typeof capability>;

export const capability_ruling = z.enum(['granted', 'revoked']);
export type CapabilityRuling = z.infer<typeof capability_ruling>;

/** What an operator has said of a capability: it counts before the stage, whichever way. */
export const rulingDocument = z.strictObject({
  ruling: capability_ruling,
  by: actor,
  at: instant,
  reason: z.string(),
});
export type RulingDocument = z.infer<typeof rulingDocument>;

export const capabilityDocument = z
  .strictObject({
    capability,
    open: z.boolean(),
    opens_at: stage,
    /** 0 while it is closed. */
    level: z.int(),
    next_level_at_xp: z.number().optional(),
    guards: z.string(),
    without: z.string(),
    why: z.string(),
    ruling: rulingDocument.optional(),
  })
  .meta({ id: 'CapabilityStanding' });
export type CapabilityDocument = z.infer<typeof capabilityDocument>;

/** Count is the sum of novelty over verified missions; XP the same, weighted by rank and category. */
export const progressDocument = z
  .strictObject({
    stage,
    count: z.number(),
    xp: z.number(),
    next_stage: stage.optional(),
    next_stage_at: z.number().optional(),
    /** What the count lacks of the next stage. */
    missing: z.number().optional(),
    capabilities: z.array(capabilityDocument),
    verified_missions: z.int(),
  })
  .meta({ id: 'Progress' });
export type ProgressDocument = z.infer<typeof progressDocument>;

export const ACCOUNT_REASONS = [
  'first_of_its_kind',
  'repeated',
  'taken_back',
  'brief',
  'unverified',
  'failed',
  'cancelled',
] as const;

/** What one ended mission came to, and why. */
export const accountDocument = z
  .strictObject({
    mission_id,
    ended_at: instant,
    counts: z.boolean(),
    reason: z.enum(ACCOUNT_REASONS),
    explanation: z.string(),
    count: z.number(),
    xp: z.number(),
    novelty: z.number(),
    effective_rank: rank.optional(),
    category: category.optional(),
  })
  .meta({ id: 'MissionAccount' });
export type AccountDocument = z.infer<typeof accountDocument>;

export const stageChangeDocument = z
  .strictObject({
    from: stage,
    to: stage,
    count: z.number(),
    xp: z.number(),
    verified_missions: z.int(),
    /** The mission that ended, or was reviewed, when the count passed the mark. */
    mission_id,
    position: z.string(),
    changed_at: instant,
  })
  .meta({ id: 'StageChange' });
export type StageChangeDocument = z.infer<typeof stageChangeDocument>;

export const treeDocument = z
  .strictObject({
    stages: z.array(z.strictObject({ stage, at_count: z.number(), reached: z.boolean(), opens: z.array(capability) })),
    capabilities: z.array(
      capabilityDocument.extend({ levels: z.array(z.strictObject({ level: z.int(), at_xp: z.number() })) }),
    ),
  })
  .meta({ id: 'EvolutionTree' });
export type TreeDocument = z.infer<typeof treeDocument>;

const min_position = z.string().optional();
export const getProgress = z.strictObject({ min_position });
export const listAccounts = z.strictObject({
  ...pageQuery,
  counts: z.boolean().optional().describe('Only missions that count, or only those that do not.'),
  min_position,
});
export const listStageChanges = z.strictObject({ ...pageQuery, min_position });
