import { Controller } from '@nestjs/common';
import { Handle } from '@nexusmon/messaging';
import {
  countMissions,
  getMission,
  listMissions,
  listWorkers,
  MISSION_SUBJECTS,
  type MissionCounts,
  type MissionDocument,
  type WorkersAndTemplates,
} from '@nexusmon/mission-contract';
import { templates, toDocument, type ExistingMission } from '@nexusmon/mission-domain';
import { Database, Projections, readPage } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { WorkerCatalog } from '../planning/catalog.js';
import { MISSION_VIEW, missionProjection } from './mission.projection.js';
import { Missions } from './missions.js';

@Controller()
export class MissionQueryHandler {
  constructor(
    private readonly missions: Missions,
    private readonly dispatcher: Dispatcher,
    private readonly catalog: WorkerCatalog,
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  /** Read from the log's leader: never older than what the asker has seen, so that it has nothing to wait for. */
  @Handle(MISSION_SUBJECTS.get, getMission)
  get({ mission_id }: z.infer<typeof getMission>): Promise<Reply<MissionDocument>> {
    return this.missions.get(mission_id);
  }

  @Handle(MISSION_SUBJECTS.list, listMissions)
  async list(query: z.infer<typeof listMissions>): Promise<Reply<Page<MissionDocument>>> {
    const { limit, cursor, status, category, rank, min_position } = query;
    const unreached = await this.projections.unreached(missionProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const answer = await readPage(this.database, {
      table: MISSION_VIEW,
      order_column: 'created_position',
      limit,
      cursor,
      where: { status, category, effective_rank: rank },
      item: (row) => toDocument(row['state'] as ExistingMission),
    });
    return 'refusal' in answer ? { kind: 'refused', refusal: answer.refusal } : this.answered(answer.page);
  }

  @Handle(MISSION_SUBJECTS.count, countMissions)
  async count({ min_position }: z.infer<typeof countMissions>): Promise<Reply<MissionCounts>> {
    const unreached = await this.projections.unreached(missionProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const { rows } = await this.database.query<{ status: string; count: string }>(
      `select status, count(*) as count from ${MISSION_VIEW} group by status order by status`,
    );
    const by_status = Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]));
    return this.answered({ by_status, ...this.dispatcher.figures });
  }

  @Handle(MISSION_SUBJECTS.workers, listWorkers)
  workers(): Promise<Reply<WorkersAndTemplates>> {
    const known = Object.entries(templates).map(([name, { description, params }]) => ({ name, description, params }));
    return Promise.resolve(this.answered({ workers: [...this.catalog.manifests], templates: known }));
  }

  private answered<Body>(body: Body): Reply<Body> {
    return {
      kind: 'done',
      changed: false,
      position: this.projections.checkpointPosition(missionProjection.name),
      body,
    };
  }
}
