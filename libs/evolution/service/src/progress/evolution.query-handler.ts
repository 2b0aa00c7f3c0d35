import { Controller } from '@nestjs/common';
import {
  EVOLUTION_SUBJECTS,
  getProgress,
  listAccounts,
  listStageChanges,
  type AccountDocument,
  type ProgressDocument,
  type StageChangeDocument,
  type TreeDocument,
} from '@nexusmon/evolution-contract';
import { explained, progress, shareOf, tree, xpOf, type AccountReason } from '@nexusmon/evolution-domain';
import { Handle } from '@nexusmon/messaging';
import { Database, Projections, readPage, type PageAnswer, type Row } from '@nexusmon/projections';
import type { Page, Refusal, Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { grantProjection } from '../grant/grant.projection.js';
import { STAGE_CHANGE_VIEW, stageChangeProjection, toStageChange } from '../stage/stage.projection.js';
import { ProgressReader } from './progress-reader.js';
import { ACCOUNT_VIEW, PROGRESS_PROJECTION } from './progress.projection.js';

type Get = z.infer<typeof getProgress>;

@Controller()
export class EvolutionQueryHandler {
  constructor(
    private readonly reader: ProgressReader,
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  @Handle(EVOLUTION_SUBJECTS.progress, getProgress)
  progress({ min_position }: Get): Promise<Reply<ProgressDocument>> {
    return this.read(min_position, async () => progress(await this.reader.totals(), await this.reader.rulings()));
  }

  @Handle(EVOLUTION_SUBJECTS.tree, getProgress)
  tree({ min_position }: Get): Promise<Reply<TreeDocument>> {
    return this.read(min_position, async () => tree(await this.reader.totals(), await this.reader.rulings()));
  }

  @Handle(EVOLUTION_SUBJECTS.accounts, listAccounts)
  async accounts(query: z.infer<typeof listAccounts>): Promise<Reply<Page<AccountDocument>>> {
    const { limit, cursor, counts, min_position } = query;
    const refusal = await this.projections.unreached(PROGRESS_PROJECTION, min_position);
    if (refusal) return { kind: 'refused', refusal };
    const where = { counts: counts === undefined ? undefined : counts ? 'yes' : 'no' };
    const position = this.projections.checkpointPosition(PROGRESS_PROJECTION);
    const page = { table: ACCOUNT_VIEW, order_column: 'ended_position', limit, cursor, where, item: toAccount };
    return answer(await readPage(this.database, page), position);
  }

  @Handle(EVOLUTION_SUBJECTS.stage_changes, listStageChanges)
  async stageChanges(query: z.infer<typeof listStageChanges>): Promise<Reply<Page<StageChangeDocument>>> {
    const { limit, cursor, min_position } = query;
    const refusal = await this.projections.unreached(stageChangeProjection.name, min_position);
    if (refusal) return { kind: 'refused', refusal };
    const position = this.projections.checkpointPosition(stageChangeProjection.name);
    const page = { table: STAGE_CHANGE_VIEW, order_column: 'revision', limit, cursor, where: {}, item: toStageChange };
    return answer(await readPage(this.database, page), position);
  }

  private async read<Body>(min_position: string | undefined, look: () => Promise<Body>): Promise<Reply<Body>> {
    const refusal = await this.unreached(min_position);
    if (refusal) return { kind: 'refused', refusal };
    // Read before the rows, so that it never claims more than they hold.
    const position = this.projections.checkpointPosition(PROGRESS_PROJECTION);
    return { kind: 'done', changed: false, position, body: await look() };
  }

  /** What is shown comes from two views: both must hold what the caller has seen. */
  private async unreached(min_position: string | undefined): Promise<Refusal | undefined> {
    const names = [PROGRESS_PROJECTION, grantProjection.name];
    const refusals = await Promise.all(names.map((name) => this.projections.unreached(name, min_position)));
    return refusals.find((refusal) => refusal !== undefined);
  }
}

const answer = <Item>(found: PageAnswer<Item>, position: string): Reply<Page<Item>> =>
  'refusal' in found
    ? { kind: 'refused', refusal: found.refusal }
    : { kind: 'done', changed: false, position, body: found.page };

const toAccount = (row: Row): AccountDocument => {
  const { mission_id, ended_at, effective_rank, category, verdict } = row;
  const [reason, nth] = [row['reason'] as AccountReason, Number(row['nth'])];
  const [novelty, xp_tenths] = [Number(row['novelty']), Number(row['xp_tenths'])];
  const share = shareOf(
    { counts: nth > 0, novelty, xp_tenths },
    (verdict ?? undefined) as 'fine' | 'not_fine' | undefined,
  );
  return {
    ...{ mission_id, ended_at, reason, counts: row['counts'] === 'yes', explanation: explained(reason, nth) },
    ...{ count: share.count, xp: xpOf(share.xp_tenths), novelty },
    ...(effective_rank === null ? {} : { effective_rank }),
    ...(category === null ? {} : { category }),
  } as AccountDocument;
};
