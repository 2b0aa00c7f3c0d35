import { Controller } from '@nestjs/common';
import { EVOLUTION_SUBJECTS, getProgress, type ProgressDocument } from '@nexusmon/evolution-contract';
import { progress } from '@nexusmon/evolution-domain';
import { Handle } from '@nexusmon/messaging';
import { Database, Projections } from '@nexusmon/projections';
import type { Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { ORGANISM, PROGRESS_PROJECTION, TOTAL_VIEW } from './progress.projection.js';

type Totals = { count: number; xp: number; verified_missions: number };

const NOTHING_YET: Totals = { count: 0, xp: 0, verified_missions: 0 };

@Controller()
export class ProgressQueryHandler {
  constructor(
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  @Handle(EVOLUTION_SUBJECTS.progress, getProgress)
  async progress({ min_position }: z.infer<typeof getProgress>): Promise<Reply<ProgressDocument>> {
    const refusal = await this.projections.unreached(PROGRESS_PROJECTION, min_position);
    if (refusal) return { kind: 'refused', refusal };
    // Read before the row, so that it never claims more than the row holds.
    const position = this.projections.checkpointPosition(PROGRESS_PROJECTION);
    const { rows } = await this.database.query<Totals>(
      `select count, xp, verified_missions from ${TOTAL_VIEW} where name = $1`,
      [ORGANISM],
    );
    return { kind: 'done', changed: false, position, body: progress(rows[0] ?? NOTHING_YET) };
  }
}
