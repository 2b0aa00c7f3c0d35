// What a mission is made of, and why it may run.

import { GOVERNANCE_SUBJECTS, type ApprovalDocument } from '@nexusmon/governance-contract';
import {
  createBody,
  deadLetterDocument,
  explainedMission,
  listDeadLetters,
  MISSION_SUBJECTS,
  planDocument,
  previewDocument,
  type ExplanationDocument,
  type PlanDocument,
} from '@nexusmon/mission-contract';
import { mission_id } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { isProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { found, LIST_PROBLEMS, minPosition, pageOf, READ_PROBLEMS, whole } from './conventions.js';
import { MISSION, MISSIONS } from './mission.routes.js';

const tag = 'Missions';
const params = z.object({ mission_id });

/** A mission is gated a moment before governance is asked for its approval. */
const approvalOf = async (services: Services, approval_id: string): Promise<ApprovalDocument[]> => {
  try {
    return [(await services.ask<ApprovalDocument>(GOVERNANCE_SUBJECTS.get, { approval_id })).body];
  } catch (error) {
    if (isProblem(error, 'approval-not-found')) return [];
    throw error;
  }
};

const explainRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: `${MISSION}/explain`,
    summary: 'Why this mission may run, or may not: the recorded decision of the gate, with all that went into it',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: z.object(minPosition),
    responses: { 200: { description: 'The decision.', schema: explainedMission } },
    problems: READ_PROBLEMS,
    handler: async (call) => {
      const answer = await services.ask<ExplanationDocument>(MISSION_SUBJECTS.explain, {
        ...call.params,
        ...call.query,
      });
      const asked = answer.body.approval_ids.map((approval_id) => approvalOf(services, approval_id));
      return found({ ...answer, body: { ...answer.body, approvals: (await Promise.all(asked)).flat() } });
    },
  });

export const inspectionRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'POST',
    path: `${MISSIONS}/preview`,
    summary: 'Plan a mission and bring it to the gate, without creating it',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    body: createBody,
    responses: { 200: { description: 'What it would be.', schema: previewDocument } },
    problems: ['plan-invalid', 'plan-too-large', 'path-outside-roots', 'egress-not-allowed'],
    handler: async ({ body }) => ({
      status: 200,
      body: (await services.ask(MISSION_SUBJECTS.preview, { body })).body,
    }),
  }),
  defineRoute({
    method: 'GET',
    path: `${MISSION}/plan`,
    summary: 'The plans of a mission, the newest first, with every default settled',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: z.object(minPosition),
    responses: { 200: { description: 'All versions.', schema: pageOf(planDocument) } },
    problems: READ_PROBLEMS,
    handler: async (call) => {
      const request = { ...call.params, ...call.query };
      const answer = await services.ask<readonly PlanDocument[]>(MISSION_SUBJECTS.plans, request);
      return whole(answer, answer.body);
    },
  }),
  explainRoute(services),
  defineRoute({
    method: 'GET',
    path: '/v1/dead-letters',
    summary: 'List the tasks whose tries are used up, the newest first',
    tag: 'Workers',
    policy: { access: 'scope', scope: 'missions:read' },
    query: listDeadLetters,
    responses: { 200: { description: 'A page of dead letters.', schema: pageOf(deadLetterDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.ask(MISSION_SUBJECTS.dead_letters, query)),
  }),
];
