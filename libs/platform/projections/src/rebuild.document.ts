// What is told of a rebuild, while it runs and afterwards.

import { z } from 'zod';

export const rebuild_status = z.enum(['running', 'equal', 'different', 'replaced', 'failed']).meta({
  description:
    'Whether live and rebuilt tables had one digest at one position. `replaced`: the live one was halted, so there was ' +
    'nothing to compare with.',
});
export const rebuild_phase = z.enum(['reading', 'indexing', 'proving', 'swapping']);

export const rebuiltTable = z.object({
  table: z.string(),
  rows: z.int().describe('Of the rebuilt one.'),
  live_digest: z.string().optional(),
  rebuilt_digest: z.string(),
});
export type RebuiltTable = z.infer<typeof rebuiltTable>;

export const rebuildDocument = z
  .object({
    rebuild_id: z.string(),
    status: rebuild_status,
    check: z.boolean().describe('Compared only: nothing is swapped.'),
    started_at: z.string(),
    ended_at: z.string().optional(),
    phase: rebuild_phase.optional(),
    percent: z.number(),
    events: z.int().describe('Events folded.'),
    events_per_second: z.number(),
    position: z.string().optional().describe('The one position of both digests.'),
    live_digest: z.string().optional(),
    rebuilt_digest: z.string().optional(),
    tables: z.array(rebuiltTable).optional(),
    swapped: z.boolean(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Rebuild' });
export type RebuildDocument = z.infer<typeof rebuildDocument>;

export const projectionDocument = z
  .object({
    name: z.string(),
    context: z.string(),
    position: z.string(),
    lag: z.int().describe('Commits of the log that it has not seen yet.'),
    halted: z.string().optional(),
    retrying: z.string().optional(),
    rebuild: rebuildDocument.optional().describe('The one under way, else the last one.'),
  })
  .meta({ id: 'Projection' });
export type ProjectionDocument = z.infer<typeof projectionDocument>;

export const projectionName = z.string().regex(/^[a-z]+\.[a-z_]+$/);
export const listProjections = z.strictObject({ name: projectionName.optional() });
export const rebuildProjection = z.strictObject({
  name: projectionName,
  check: z.boolean(),
  /** Names the rebuild: asked for again, it is the same one. */
  rebuild_id: z.string(),
});
