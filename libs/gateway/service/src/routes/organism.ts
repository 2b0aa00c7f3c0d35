import { progressDocument, type ProgressDocument } from '@nexusmon/evolution-contract';
import type { WaitingCounts } from '@nexusmon/governance-contract';
import { mission_status, type MissionCounts } from '@nexusmon/mission-contract';
import { z } from 'zod';
import { healthStatus, type HealthStatus } from '../health.js';

const count = z.int().min(0);

export const organismDocument = z
  .object({
    ...progressDocument.shape,
    missions: z.partialRecord(mission_status, count).describe('How many missions are in each state.'),
    queues: z.object({
      queued_tasks: count.describe('Ready, and not given to a runner yet.'),
      running_tasks: count,
      awaiting_approval: count.describe('Approvals that wait for a ruling.'),
      awaiting_review: count,
      runners: count,
      free_slots: count.describe('Slots of runners that wait for work.'),
    }),
    health: z.object({ status: healthStatus }),
  })
  .meta({ id: 'Organism' });

export const organismOf = (
  progress: ProgressDocument,
  { by_status, ...tasks }: MissionCounts,
  { approvals, reviews }: WaitingCounts,
  status: HealthStatus,
) => ({
  ...progress,
  missions: by_status,
  queues: { ...tasks, awaiting_approval: approvals, awaiting_review: reviews },
  health: { status },
});
