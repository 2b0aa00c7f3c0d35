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

/** Count is the sum of novelty over verified missions; XP the same, weighted by rank and category. */
export const progressDocument = z
  .strictObject({
    stage,
    count: z.number(),
    xp: z.number(),
    next_stage: stage.optional(),
    next_stage_at: z.number().optional(),
    capabilities: z.array(z.strictObject({ capability, open: z.boolean(), opens_at: stage })),
    verified_missions: z.int(),
  })
  .meta({ id: 'Progress' });
export type ProgressDocument = z.infer<typeof progressDocument>;
export const getProgress = z.strictObject({ min_position: z.string().optional() });

export const EVOLUTION_SUBJECTS = { progress: 'qry.evolution.progress' } as const;
