import {
  accountDocument,
  capability,
  capabilityDocument,
  EVOLUTION_SUBJECTS,
  listAccounts,
  listStageChanges,
  progressDocument,
  REASON_LENGTH_MAX,
  stageChangeDocument,
  treeDocument,
  type AccountDocument,
  type ProgressDocument,
  type StageChangeDocument,
} from '@nexusmon/evolution-contract';
import { text, type Page } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { commandOf, type CommandsInFlight } from '../http/commands.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { found, LIST_PROBLEMS, minPosition, pageOf, READ_PROBLEMS, whole } from './conventions.js';

const tag = 'Evolution';
const EVOLUTION = '/v1/evolution';
const CAPABILITIES = '/v1/governance/capabilities';
/** How much of the lists stands in the one document. */
const LATEST = 20;

const evolutionDocument = z
  .object({
    ...progressDocument.shape,
    missions: z.array(accountDocument).describe('The last that ended, and what each came to.'),
    history: z.array(stageChangeDocument).describe('The last changes of the stage, the newest first.'),
  })
  .meta({ id: 'Evolution' });

/** The key that what this actor writes is sealed under. */
export type KeyOf = (actor: string) => Promise<string>;

const documentRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: EVOLUTION,
    summary: 'Stage, count, XP, what the next stage lacks, what is open and why, and which missions counted',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: z.object(minPosition),
    responses: { 200: { description: 'Evolution as it stands.', schema: evolutionDocument } },
    problems: READ_PROBLEMS,
    handler: async ({ query }) => {
      const page = { ...query, limit: LATEST };
      const [progress, missions, history] = await Promise.all([
        services.ask<ProgressDocument>(EVOLUTION_SUBJECTS.progress, query),
        services.ask<Page<AccountDocument>>(EVOLUTION_SUBJECTS.accounts, page),
        services.ask<Page<StageChangeDocument>>(EVOLUTION_SUBJECTS.stage_changes, page),
      ]);
      return found({
        ...progress,
        body: { ...progress.body, missions: missions.body.data, history: history.body.data },
      });
    },
  });

const listRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: `${EVOLUTION}/missions`,
    summary: 'List the missions that ended and what each came to, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: listAccounts,
    responses: { 200: { description: 'A page of accounts.', schema: pageOf(accountDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.ask(EVOLUTION_SUBJECTS.accounts, query)),
  }),
  defineRoute({
    method: 'GET',
    path: `${EVOLUTION}/history`,
    summary: 'List the changes of the stage, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: listStageChanges,
    responses: { 200: { description: 'A page of changes.', schema: pageOf(stageChangeDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.ask(EVOLUTION_SUBJECTS.stage_changes, query)),
  }),
  defineRoute({
    method: 'GET',
    path: `${EVOLUTION}/tree`,
    summary: 'What unlocks what: stages by count, capabilities by stage, levels by XP',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: z.object(minPosition),
    responses: { 200: { description: 'The tree, and what of it is reached.', schema: treeDocument } },
    problems: READ_PROBLEMS,
    handler: async ({ query }) => found(await services.ask(EVOLUTION_SUBJECTS.tree, query)),
  }),
  defineRoute({
    method: 'GET',
    path: CAPABILITIES,
    summary: 'List the capabilities, open or not, and why',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: z.object(minPosition),
    responses: { 200: { description: 'All capabilities.', schema: pageOf(capabilityDocument) } },
    problems: READ_PROBLEMS,
    handler: async ({ query }) => {
      const progress = await services.ask<ProgressDocument>(EVOLUTION_SUBJECTS.progress, query);
      return whole(progress, progress.body.capabilities);
    },
  }),
];

const rulingBody = z.strictObject({ reason: text(1, REASON_LENGTH_MAX) }).meta({ id: 'CapabilityRuling' });

const rulingRoute = (
  verb: 'grant' | 'revoke',
  summary: string,
  services: Services,
  in_flight: CommandsInFlight,
  keyOf: KeyOf,
): Route =>
  defineRoute({
    method: 'POST',
    path: `${CAPABILITIES}/{capability}/${verb}`,
    summary,
    tag,
    policy: { access: 'operator', step_up: true },
    params: z.object({ capability }),
    body: rulingBody,
    headers: ['Idempotency-Key', 'X-Operator-Key'],
    responses: { 200: { description: 'The capability as it is now.', schema: capabilityDocument } },
    problems: ['operator-key-required', 'operator-key-refused', 'operator-required', 'log-read-only'],
    handler: async (call) => {
      const { params, body, sovereign, principal } = call;
      const command = commandOf(call, `capability.${verb}`, params.capability);
      const key_id = await keyOf(principal.actor);
      const request = { asked: command.asked, ...params, ...body, sovereign, key_id };
      return in_flight.run(command, async () => found(await services.ask(EVOLUTION_SUBJECTS[verb], request)));
    },
  });

export const evolutionRoutes = (services: Services, in_flight: CommandsInFlight, keyOf: KeyOf): Route[] => [
  documentRoute(services),
  ...listRoutes(services),
  rulingRoute('grant', 'Open a capability, whatever the stage, for a reason', services, in_flight, keyOf),
  rulingRoute('revoke', 'Close a capability, whatever the stage, for a reason', services, in_flight, keyOf),
];
