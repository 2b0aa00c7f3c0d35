import {
  createBody,
  listMissions,
  listTasks,
  MISSION_SUBJECTS,
  missionDocument,
  reasonBody,
  requiredReasonBody,
  taskDocument,
  type CreateBody,
  type MissionDocument,
  type MissionStatus,
} from '@nexusmon/mission-contract';
import { mission_id } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { commandOf, type CommandsInFlight } from '../http/commands.js';
import { preferredWait } from '../http/prefer.js';
import { defineRoute, type Answered, type Call, type Policy, type Route } from '../http/route.js';
import { TIMEOUT_MS, type Answer, type Services } from '../http/services.js';
import { document, found, LIST_PROBLEMS, minPosition, pageOf, READ_PROBLEMS, UNCHANGED } from './conventions.js';

const tag = 'Missions';
const params = z.object({ mission_id });
const ENDED: readonly MissionStatus[] = ['completed', 'failed', 'cancelled'];
export const MISSIONS = '/v1/engine/missions';
export const MISSION = `${MISSIONS}/{mission_id}`;

const MILLISECONDS = 1_000;

/** 201 without a wish to wait; with one it depends on whether the mission has ended. */
const created = ({ body, position }: Answer<MissionDocument>, wait: number | undefined): Answered => {
  const ended = ENDED.includes(body.status);
  return {
    status: wait === undefined ? 201 : ended ? 200 : 202,
    body,
    position,
    headers: {
      location: `${MISSIONS}/${body.mission_id}`,
      ...(wait === undefined ? {} : { 'preference-applied': `wait=${wait}` }),
    },
  };
};

export const CREATED = {
  201: { description: 'The mission, accepted. Location names it.', schema: missionDocument },
  200: { description: 'With Prefer: wait, the mission, ended in time.', schema: missionDocument },
  202: { description: 'With Prefer: wait, the mission, not ended in time.', schema: missionDocument },
};
export const CREATE_PROBLEMS = [
  ...['plan-invalid', 'plan-too-large', 'path-outside-roots', 'egress-not-allowed'],
  ...['rank-above-ceiling', 'log-read-only'],
];

type Caller<Body> = Pick<Call<object, object, Body>, 'principal' | 'request' | 'raw_body' | 'body' | 'sovereign'>;

export const createMission = (
  call: Caller<CreateBody>,
  services: Services,
  in_flight: CommandsInFlight,
): Promise<Answered> => {
  const wait = preferredWait(call.request.headers.prefer);
  const command = commandOf(call, 'mission.create');
  const wait_ms = (wait ?? 0) * MILLISECONDS;
  const request = { asked: command.asked, mission_id: command.idOf('msn'), body: call.body, wait_ms };
  return in_flight.run(command, async () =>
    created(
      await services.ask<MissionDocument>(MISSION_SUBJECTS.create, request, { timeout_ms: TIMEOUT_MS + wait_ms }),
      wait,
    ),
  );
};

const createRoute = (services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: MISSIONS,
    summary: 'Create a mission',
    tag,
    policy: { access: 'scope', scope: 'missions:write' },
    body: createBody,
    headers: ['Idempotency-Key', 'Prefer'],
    responses: CREATED,
    problems: CREATE_PROBLEMS,
    handler: (call) => createMission(call, services, in_flight),
  });

const readRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: MISSIONS,
    summary: 'List missions, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: listMissions,
    responses: { 200: { description: 'A page of missions.', schema: pageOf(missionDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.pass(MISSION_SUBJECTS.list, query)),
  }),
  defineRoute({
    method: 'GET',
    path: MISSION,
    summary: 'Read a mission',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: z.object(minPosition),
    headers: ['If-None-Match'],
    responses: { 200: { description: 'The mission.', schema: missionDocument }, 304: UNCHANGED },
    problems: READ_PROBLEMS,
    handler: async (call) => document(await services.pass(MISSION_SUBJECTS.get, { ...call.params, ...call.query })),
  }),
  defineRoute({
    method: 'GET',
    path: `${MISSION}/tasks`,
    summary: 'List the tasks of a mission',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: listTasks.omit({ mission_id: true }),
    responses: { 200: { description: 'A page of tasks, as the plan orders them.', schema: pageOf(taskDocument) } },
    problems: LIST_PROBLEMS,
    handler: async (call) => found(await services.ask(MISSION_SUBJECTS.tasks, { ...call.params, ...call.query })),
  }),
];

type Verb = Readonly<{
  name: 'approve' | 'deny' | 'run' | 'cancel';
  summary: string;
  body: typeof reasonBody | typeof requiredReasonBody;
  policy: Extract<Policy, { access: 'operator' | 'scope' }>;
}>;

const WRITE = { access: 'scope', scope: 'missions:write' } as const;

const VERBS: readonly Verb[] = [
  {
    name: 'approve',
    summary: 'Approve a mission that waits for it (A and S: with X-Operator-Key; S: with a reason)',
    body: reasonBody,
    policy: { access: 'operator', step_up: true },
  },
  {
    name: 'deny',
    summary: 'Deny a mission that waits for approval',
    body: requiredReasonBody,
    policy: { access: 'operator' },
  },
  {
    name: 'run',
    summary: 'Start a held mission, through the gate',
    body: reasonBody,
    policy: { access: 'scope', scope: 'missions:write', step_up: true },
  },
  { name: 'cancel', summary: 'Cancel a mission', body: reasonBody, policy: WRITE },
];

type ReasonBody = z.infer<typeof reasonBody>;

export const doVerb = (
  name: Verb['name'],
  mission_id: string,
  call: Caller<ReasonBody>,
  services: Services,
  in_flight: CommandsInFlight,
): Promise<Answered> => {
  const command = commandOf(call, `mission.${name}`, mission_id);
  const request = { asked: command.asked, mission_id, ...call.body, sovereign: call.sovereign };
  return in_flight.run(command, async () => found(await services.ask(MISSION_SUBJECTS[name], request)));
};

const verbRoute = ({ name, summary, body, policy }: Verb, services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: `${MISSION}/${name}`,
    summary,
    tag,
    policy,
    params,
    body: body as typeof reasonBody,
    headers: policy.step_up ? ['Idempotency-Key', 'X-Operator-Key'] : ['Idempotency-Key'],
    responses: { 200: { description: 'The mission as it is now.', schema: missionDocument } },
    problems: [
      ...['illegal-transition', 'log-read-only'],
      ...(policy.step_up ? ['operator-key-required', 'reason-required'] : []),
      ...(policy.access === 'scope' ? ['rank-above-ceiling'] : []),
    ],
    handler: (call: Call<z.infer<typeof params>, object, ReasonBody>) =>
      doVerb(name, call.params.mission_id, call, services, in_flight),
  });

export const missionRoutes = (services: Services, in_flight: CommandsInFlight): Route[] => [
  createRoute(services, in_flight),
  ...readRoutes(services),
  ...VERBS.map((verb) => verbRoute(verb, services, in_flight)),
];
