import { Controller } from '@nestjs/common';
import { newId } from '@nexusmon/event-log';
import { Handle } from '@nexusmon/messaging';
import {
  getMission,
  listDeadLetters,
  listTasks,
  MISSION_SUBJECTS,
  previewMission,
  type DeadLetterDocument,
  type ExplanationDocument,
  type PlanDocument,
  type PreviewDocument,
  type TaskDocument,
} from '@nexusmon/mission-contract';
import { exists, explanationOf, plansOf, taskOf } from '@nexusmon/mission-domain';
import { Database, decodeCursor, encodeCursor, Projections, readPage, type Row } from '@nexusmon/projections';
import { answered, fittingCount, type Page, type Reply } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { Governance } from '../dispatch/governance.client.js';
import { MissionDocuments } from '../mission/mission-documents.js';
import { MissionLog } from '../mission/mission-log.js';
import { notFound } from '../mission/replies.js';
import { Planner } from '../planning/planner.js';
import { DEAD_LETTER_VIEW, deadLetterProjection } from './dead-letter.projection.js';

/** What can be asked of missions beside their documents. Nothing is changed here. */
@Controller()
export class InspectionQueryHandler {
  constructor(
    private readonly missions: MissionLog,
    private readonly documents: MissionDocuments,
    private readonly planner: Planner,
    private readonly governance: Governance,
    private readonly database: Database,
    private readonly projections: Projections,
  ) {}

  /** All there is of each task, as the plan orders them: a page of them is smaller than their mission may be. */
  @Handle(MISSION_SUBJECTS.tasks, listTasks)
  async tasks({ mission_id, limit, cursor }: z.infer<typeof listTasks>): Promise<Reply<Page<TaskDocument>>> {
    const first = cursor === undefined ? 0 : Number(decodeCursor(cursor) ?? NaN);
    if (Number.isNaN(first))
      return { kind: 'refused', refusal: { code: 'malformed-cursor', detail: 'the cursor is not one of this list' } };
    const { state, position } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    const { tasks } = await this.documents.whole(state);
    const wanted = tasks.slice(first, first + limit);
    const data = wanted.slice(0, fittingCount(wanted));
    const next = first + data.length;
    const next_cursor = next < tasks.length ? encodeCursor(next) : null;
    return { kind: 'done', changed: false, position, body: { data, next_cursor } };
  }

  @Handle(MISSION_SUBJECTS.plans, getMission)
  async plans({ mission_id }: z.infer<typeof getMission>): Promise<Reply<readonly PlanDocument[]>> {
    const { state, position } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    const { state: whole } = await this.documents.opened(state);
    return { kind: 'done', changed: false, position, body: plansOf(whole) };
  }

  @Handle(MISSION_SUBJECTS.explain, getMission)
  async explain({ mission_id }: z.infer<typeof getMission>): Promise<Reply<ExplanationDocument>> {
    const { state, position } = await this.missions.load(mission_id);
    if (!exists(state)) return notFound;
    return { kind: 'done', changed: false, position, body: explanationOf(state) };
  }

  /** The gate judges what is described under an id that no mission has or will have: its verdict opens nothing. */
  @Handle(MISSION_SUBJECTS.preview, previewMission)
  async preview({ body }: z.infer<typeof previewMission>): Promise<Reply<PreviewDocument>> {
    const planning = await this.planner.plan(body);
    if (planning.kind === 'refused') return planning;
    const { plan_source, plan_digest, fingerprint, rank, effective_rank, tasks } = planning.plan;
    const workers = new Map(tasks.map(({ worker, risk_level }) => [worker, risk_level]));
    const { claims } = await this.governance.judge({
      ...{ mission_id: newId('msn'), plan_digest, rank, effective_rank, category: body.category },
      workers: [...workers].map(([name, risk_level]) => ({ name, risk_level })),
    });
    const { outcome, decisive_rule, rulings, policy_version, halt_epoch, decided_at } = claims;
    return answered({
      plan: { plan_source, plan_digest, fingerprint, rank, effective_rank, tasks },
      decision: { outcome, decisive_rule, rulings, policy_version, halt_epoch, decided_at },
    });
  }

  @Handle(MISSION_SUBJECTS.dead_letters, listDeadLetters)
  async deadLetters(query: z.infer<typeof listDeadLetters>): Promise<Reply<Page<DeadLetterDocument>>> {
    const { limit, cursor, mission_id, min_position } = query;
    const refusal = await this.projections.unreached(deadLetterProjection.name, min_position);
    if (refusal) return { kind: 'refused', refusal };
    const position = this.projections.checkpointPosition(deadLetterProjection.name);
    const found = await readPage(this.database, {
      ...{ table: DEAD_LETTER_VIEW, order_column: 'dead_lettered_position', limit, cursor, where: { mission_id } },
      item: (row) => row,
    });
    if ('refusal' in found) return { kind: 'refused', refusal: found.refusal };
    const { data, next_cursor } = found.page;
    const letters = await Promise.all(data.map((row) => this.deadLetter(row)));
    return { kind: 'done', changed: false, position, body: { data: letters, next_cursor } };
  }

  /** Whose task it was, and what has become of the mission, is asked of the mission itself. */
  private async deadLetter({ dead_lettered_position: _, ...row }: Row): Promise<DeadLetterDocument> {
    const [mission_id, task_id] = [String(row['mission_id']), String(row['task_id'])];
    const { state } = await this.missions.load(mission_id);
    const task = exists(state) ? taskOf(state, task_id) : undefined;
    if (!exists(state) || !task) throw new Error(`${mission_id} has a dead letter of ${task_id} and no such task`);
    return { ...row, worker: task.plan.worker, mission_status: state.status } as DeadLetterDocument;
  }
}
