// The older spelling of four mission routes. They do the same as the newer ones, and say which these are.
//
//   O1. The operator key in the body authenticates the call by itself (D3 and D4 in admission.ts); `create` takes
//       another credential where there is none.
//   O2. An Idempotency-Key names the same thing in either spelling.

import { createBody, listMissions, MISSION_SUBJECTS, missionDocument } from '@nexusmon/mission-contract';
import { mission_id, text } from '@nexusmon/shared-contract';
import { z } from 'zod';
import type { CommandsInFlight } from '../http/commands.js';
import { defineRoute, type Deprecated, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { found, LIST_PROBLEMS, OPERATOR_KEY_LENGTH_MAX, pageOf } from './conventions.js';
import { CREATED, createMission, CREATE_PROBLEMS, doVerb, MISSION, MISSIONS } from './mission.routes.js';

const tag = 'Missions, older spelling';
const operator_key = text(1, OPERATOR_KEY_LENGTH_MAX);

const since = '2026-11-20T00:00:00.000Z';
const replacedBy = (successor: string): Deprecated => ({ since, successor });

const olderCreateBody = createBody
  .safeExtend({ operator_key: operator_key.optional() })
  .meta({ id: 'OlderCreateMission' });

const verbBody = z
  .strictObject({ mission_id, operator_key, reason: text(1, 4_000).optional() })
  .meta({ id: 'OlderMissionVerb' });

const verbRoute = (name: 'run' | 'approve', summary: string, services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: `/v1/missions/${name}`,
    summary,
    tag,
    policy: { access: 'operator_key' },
    deprecated: replacedBy(`${MISSION}/${name}`),
    body: verbBody,
    headers: ['Idempotency-Key'],
    responses: { 200: { description: 'The mission as it is now.', schema: missionDocument } },
    problems: ['mission-not-found', 'illegal-transition', 'reason-required', 'log-read-only'],
    handler: (call) => {
      const { mission_id, ...body } = call.body;
      // Named by the path, it is no part of the body that an Idempotency-Key is bound to.
      const { mission_id: _, ...raw_body } = call.raw_body as { mission_id: string };
      return doVerb(name, mission_id, { ...call, body, raw_body }, services, in_flight);
    },
  });

export const olderRoutes = (services: Services, in_flight: CommandsInFlight): Route[] => [
  defineRoute({
    method: 'POST',
    path: '/v1/missions/create',
    summary: 'Create a mission',
    tag,
    policy: { access: 'operator_key', or_scope: 'missions:write' },
    deprecated: replacedBy(MISSIONS),
    body: olderCreateBody,
    headers: ['Idempotency-Key', 'Prefer'],
    responses: CREATED,
    problems: CREATE_PROBLEMS,
    handler: (call) => createMission(call, services, in_flight),
  }),
  verbRoute('run', 'Start a held mission, or grant and start one that waits for approval', services, in_flight),
  verbRoute('approve', 'Approve a mission that waits for it (S: with a reason)', services, in_flight),
  defineRoute({
    method: 'GET',
    path: '/v1/missions/list',
    summary: 'List missions, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    deprecated: replacedBy(MISSIONS),
    query: listMissions,
    responses: { 200: { description: 'A page of missions.', schema: pageOf(missionDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.pass(MISSION_SUBJECTS.list, query)),
  }),
];
