import { EVOLUTION_SUBJECTS, type ProgressDocument } from '@nexusmon/evolution-contract';
import { GOVERNANCE_SUBJECTS, type WaitingCounts } from '@nexusmon/governance-contract';
import { MISSION_SUBJECTS, type MissionCounts } from '@nexusmon/mission-contract';
import { worker_name, workerManifest, type WorkerManifest } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { healthDocument, healthStatus, type Health } from '../health.js';
import { field, problem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { document, found, minPosition, pageOf, READ_PROBLEMS, UNCHANGED, whole } from './conventions.js';
import { organismDocument, organismOf } from './organism.js';

const tag = 'System';

const template = z
  .object({ name: z.string(), description: z.string(), params_schema: z.record(z.string(), z.unknown()) })
  .meta({ id: 'Template' });
type Offer = Readonly<{ workers: readonly WorkerManifest[]; templates: readonly z.infer<typeof template>[] }>;

const organismRoute = (services: Services, health: Health): Route =>
  defineRoute({
    method: 'GET',
    path: '/v1/nexusmon/organism/status',
    summary: 'Stage, count, XP and capabilities; missions by state; queues; health',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: z.object(minPosition),
    responses: { 200: { description: 'The organism as it is now.', schema: organismDocument } },
    problems: READ_PROBLEMS,
    handler: async ({ query }) => {
      const [progress, counts, waiting, { status }] = await Promise.all([
        services.ask<ProgressDocument>(EVOLUTION_SUBJECTS.progress, query),
        services.ask<MissionCounts>(MISSION_SUBJECTS.count, query),
        services.ask<WaitingCounts>(GOVERNANCE_SUBJECTS.waiting, query),
        health.document(),
      ]);
      return found({ ...progress, body: organismOf(progress.body, counts.body, waiting.body, status) });
    },
  });

const offerRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/v1/workers',
    summary: 'List the workers that plans can use',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    responses: { 200: { description: 'All workers.', schema: pageOf(workerManifest) } },
    handler: async () => {
      const answer = await services.ask<Offer>(MISSION_SUBJECTS.workers, {});
      return whole(answer, answer.body.workers);
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/workers/{worker}',
    summary: 'Read what is known of a worker: its schemas, its risk, its version',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params: z.object({ worker: worker_name }),
    headers: ['If-None-Match'],
    responses: { 200: { description: 'The worker.', schema: workerManifest }, 304: UNCHANGED },
    handler: async ({ params: { worker } }) => {
      const answer = await services.ask<Offer>(MISSION_SUBJECTS.workers, {});
      const body = answer.body.workers.find(({ name }) => name === worker);
      const errors = [field('worker', 'not the name of a worker')];
      if (!body) throw problem('worker-not-found', { detail: `there is no worker ${worker}`, errors });
      return document({ ...answer, body });
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/system/templates',
    summary: 'List the templates of missions',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    responses: { 200: { description: 'All templates.', schema: pageOf(template) } },
    handler: async () => {
      const answer = await services.ask<Offer>(MISSION_SUBJECTS.workers, {});
      return whole(answer, answer.body.templates);
    },
  }),
];

const plainHealth = z.object({ status: healthStatus });

const healthRoute = (path: string, health: Health): Route =>
  defineRoute({
    method: 'GET',
    path,
    summary: 'Whether missions can be accepted',
    tag,
    policy: { access: 'public' },
    responses: {
      200: { description: 'They can.', schema: plainHealth },
      503: { description: 'They cannot.', schema: plainHealth },
    },
    handler: async () => {
      const { status, accepting } = await health.overall();
      return accepting
        ? { status: 200, body: { status } }
        : { status: 503, body: { status }, headers: { 'retry-after': '1' } };
    },
  });

export const systemRoutes = (services: Services, health: Health): Route[] => [
  organismRoute(services, health),
  ...offerRoutes(services),
  defineRoute({
    method: 'GET',
    path: '/v1/system/health',
    summary: 'What each part of the system says of itself',
    tag,
    policy: { access: 'scope', scope: 'admin' },
    responses: { 200: { description: 'All checks; status sums them up.', schema: healthDocument } },
    handler: async () => ({ status: 200, body: await health.document() }),
  }),
  healthRoute('/health', health),
  healthRoute('/v1/health', health),
  defineRoute({
    method: 'GET',
    path: '/ready',
    summary: 'Yes or no',
    tag,
    policy: { access: 'public' },
    responses: {
      200: { description: 'Yes.', media_type: 'text/plain' },
      503: { description: 'No.', media_type: 'text/plain' },
    },
    handler: async () => {
      const { accepting } = await health.overall();
      const status = accepting ? 200 : 503;
      return { status, body: accepting ? 'yes\n' : 'no\n', media_type: 'text/plain; charset=utf-8' };
    },
  }),
];
