import { EVOLUTION_SUBJECTS, type ProgressDocument } from '@nexusmon/evolution-contract';
import {
  approvalDocument,
  GOVERNANCE_SUBJECTS,
  reviewDocument,
  type ApprovalDocument,
  type ReviewDocument,
  type WaitingCounts,
} from '@nexusmon/governance-contract';
import {
  MISSION_SUBJECTS,
  missionDocument,
  type MissionCounts,
  type MissionDocument,
} from '@nexusmon/mission-contract';
import { actor, type Page } from '@nexusmon/shared-contract';
import { z } from 'zod';
import type { Health } from '../health.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { minPosition, READ_PROBLEMS } from './conventions.js';
import { organismDocument, organismOf } from './organism.js';
import { earliestOf } from '../stream/earliest.js';

/** A screenful: the rest is a page away. */
const FIRST = 20;

/** A mission in a list: what it is and how it stands, without its tasks' inputs and outputs. */
const listedMission = missionDocument
  .pick({
    ...{ mission_id: true, goal: true, category: true, rank: true, effective_rank: true, status: true },
    ...{ template: true, plan_source: true, hold: true, priority: true, tags: true },
    ...{ created_at: true, started_at: true, ended_at: true, requested_by: true, links: true },
  })
  .extend({ tasks: z.object({ total: z.int(), completed: z.int(), running: z.int() }) })
  .meta({ id: 'ListedMission' });

const uiState = z
  .object({
    principal: z.object({ actor }),
    organism: organismDocument,
    missions: z.array(listedMission).describe('The newest.'),
    approvals: z.array(approvalDocument).describe('The newest that wait for a ruling.'),
    reviews: z.array(reviewDocument).describe('The newest that nobody has given.'),
    position: z.string().describe('Everything here is at least as new: follow /v1/events?from= this.'),
  })
  .meta({ id: 'UiState' });

const listed = (mission: MissionDocument): z.infer<typeof listedMission> => {
  const count = (wanted: string) => mission.tasks.filter(({ status }) => status === wanted).length;
  const tasks = { total: mission.tasks.length, completed: count('completed'), running: count('running') };
  return listedMission.strip().parse({ ...mission, tasks });
};

export const uiRoutes = (services: Services, health: Health): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/v1/ui/state',
    summary: 'What a first screen needs, in one document',
    tag: 'System',
    policy: { access: 'scope', scope: 'missions:read' },
    query: z.object(minPosition),
    responses: { 200: { description: 'The state as it is now.', schema: uiState } },
    problems: READ_PROBLEMS,
    handler: async ({ query, principal }) => {
      const page = { ...query, limit: FIRST };
      const { ask } = { ask: <Body>(subject: string, request: object) => services.ask<Body>(subject, request) };
      const [progress, counts, waiting, missions, approvals, reviews, { status }] = await Promise.all([
        ask<ProgressDocument>(EVOLUTION_SUBJECTS.progress, query),
        ask<MissionCounts>(MISSION_SUBJECTS.count, query),
        ask<WaitingCounts>(GOVERNANCE_SUBJECTS.waiting, query),
        ask<Page<MissionDocument>>(MISSION_SUBJECTS.list, page),
        ask<Page<ApprovalDocument>>(GOVERNANCE_SUBJECTS.list, { ...page, status: 'pending' }),
        ask<Page<ReviewDocument>>(GOVERNANCE_SUBJECTS.reviews, { ...page, status: 'open' }),
        health.document(),
      ]);
      const position = earliestOf([progress, counts, waiting, missions, approvals, reviews].map((one) => one.position));
      const body = {
        principal: { actor: principal.actor },
        organism: organismOf(progress.body, counts.body, waiting.body, status),
        missions: missions.body.data.map(listed),
        approvals: approvals.body.data,
        reviews: reviews.body.data,
        position,
      };
      return { status: 200, body, position };
    },
  }),
];
