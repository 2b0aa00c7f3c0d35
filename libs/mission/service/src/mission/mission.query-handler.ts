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
import { templates } from '@nexusmon/mission-domain';
import { Projections } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { WorkerCatalog } from '../planning/catalog.js';
import { MalformedCursor, MissionList } from './mission-list.js';
import { missionProjection } from './mission.projection.js';
import { Missions } from './missions.js';

@Controller()
export class MissionQueryHandler {
  constructor(
    private readonly missions: Missions,
    private readonly dispatcher: Dispatcher,
    private readonly catalog: WorkerCatalog,
    private readonly missionList: MissionList,
    private readonly projections: Projections,
  ) {}

  /** Read from the log's leader: never older than what the asker has seen, so that it has nothing to wait for. */
  @Handle(MISSION_SUBJECTS.get, getMission)
  get({ mission_id }: z.infer<typeof getMission>): Promise<Reply<MissionDocument>> {
    return this.missions.get(mission_id);
  }

  @Handle(MISSION_SUBJECTS.list, listMissions)
  async list(query: z.infer<typeof listMissions>): Promise<Reply<Page<MissionDocument>>> {
    const { min_position, ...wanted } = query;
    const unreached = await this.projections.unreached(missionProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    // Read before the rows, so that it never claims more than they hold.
    const position = this.position();
    try {
      return this.answered(await this.missionList.page(wanted), position);
    } catch (error) {
      if (!(error instanceof MalformedCursor)) throw error;
      return { kind: 'refused', refusal: { code: 'malformed-cursor', detail: error.message } };
    }
  }

  @Handle(MISSION_SUBJECTS.count, countMissions)
  async count({ min_position }: z.infer<typeof countMissions>): Promise<Reply<MissionCounts>> {
    const unreached = await this.projections.unreached(missionProjection.name, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const position = this.position();
    const by_status = await this.missionList.countByStatus();
    return this.answered({ by_status, ...this.dispatcher.figures }, position);
  }

  @Handle(MISSION_SUBJECTS.workers, listWorkers)
  workers(): Promise<Reply<WorkersAndTemplates>> {
    const known = Object.entries(templates).map(([name, { description, params }]) => ({ name, description, params }));
    return Promise.resolve(this.answered({ workers: [...this.catalog.manifests], templates: known }));
  }

  private position(): string {
    return this.projections.checkpointPosition(missionProjection.name);
  }

  private answered<Body>(body: Body, position = this.position()): Reply<Body> {
    return { kind: 'done', changed: false, position, body };
  }
}
