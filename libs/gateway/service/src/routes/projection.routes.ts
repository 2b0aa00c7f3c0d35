import { projectionDocument, projectionName, type ProjectionDocument, rebuildProjection } from '@nexusmon/projections';
import { z } from 'zod';
import { commandOf, type CommandsInFlight } from '../http/commands.js';
import { problem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { found, pageOf } from './conventions.js';

const tag = 'System';
const PROJECTIONS = '/v1/system/projections';
const params = z.object({ projection: projectionName });
/** Those that derive anything. */
const CONTEXTS = ['access', 'evolution', 'governance', 'mission', 'vault'] as const;

const contextOf = (name: string) => {
  const context = CONTEXTS.find((one) => name.startsWith(`${one}.`));
  if (!context) throw problem('projection-not-found', `there is no projection ${name}`);
  return context;
};

const listRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: PROJECTIONS,
    summary: 'List what is derived from the log, and how far it is',
    tag,
    policy: { access: 'scope', scope: 'admin' },
    responses: { 200: { description: 'All projections of all contexts.', schema: pageOf(projectionDocument) } },
    handler: async () => {
      const answers = await Promise.all(
        CONTEXTS.map((context) => services.ask<readonly ProjectionDocument[]>(`qry.${context}.projections`, {})),
      );
      return { status: 200, body: { data: answers.flatMap(({ body }) => body), next_cursor: null } };
    },
  });

const readRoute = (services: Services): Route =>
  defineRoute({
    method: 'GET',
    path: `${PROJECTIONS}/{projection}`,
    summary: 'Read how far a projection is, and how its last rebuild went',
    tag,
    policy: { access: 'scope', scope: 'admin' },
    params,
    responses: { 200: { description: 'The projection.', schema: projectionDocument } },
    handler: async ({ params: { projection: name } }) => {
      const subject = `qry.${contextOf(name)}.projections`;
      const { body } = await services.ask<readonly ProjectionDocument[]>(subject, { name });
      if (!body[0]) throw problem('projection-not-found', `there is no projection ${name}`);
      return { status: 200, body: body[0] };
    },
  });

const rebuildRoute = (services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: `${PROJECTIONS}/{projection}/rebuild`,
    summary: 'Build a projection again from the log, beside the one in force, and put it in its place',
    tag,
    policy: { access: 'operator' },
    params,
    body: z.strictObject({ check: rebuildProjection.shape.check.default(false) }).meta({ id: 'RebuildRequest' }),
    headers: ['Idempotency-Key'],
    responses: { 202: { description: 'The projection; its rebuild has begun.', schema: projectionDocument } },
    problems: ['rebuild-running'],
    handler: async (call) => {
      const { projection: name } = call.params;
      const command = commandOf(call, 'projection.rebuild', name);
      const request = { name, ...call.body, rebuild_id: command.idOf('rbd') };
      return in_flight.run(command, async () => ({
        ...found(await services.ask<ProjectionDocument>(`cmd.${contextOf(name)}.rebuild`, request)),
        status: 202,
      }));
    },
  });

export const projectionRoutes = (services: Services, in_flight: CommandsInFlight): Route[] => [
  listRoute(services),
  readRoute(services),
  rebuildRoute(services, in_flight),
];
