import {
  approvalDocument,
  GOVERNANCE_SUBJECTS,
  listApprovals,
  listReviews,
  review_verdict,
  reviewDocument,
} from '@nexusmon/governance-contract';
import { reasonBody, requiredReasonBody } from '@nexusmon/mission-contract';
import { approval_id, review_id, text } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { commandOf, type CommandsInFlight } from '../http/commands.js';
import { defineRoute, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { document, found, LIST_PROBLEMS, minPosition, pageOf, READ_PROBLEMS, UNCHANGED } from './conventions.js';

const tag = 'Approvals and reviews';
const params = z.object({ approval_id });
const APPROVAL = '/v1/approvals/{approval_id}';
const answers = { 200: { description: 'The approval as it is now.', schema: approvalDocument } };

/** `shape`: inputs that are derived from earlier outputs may run too, as long as they have the form that was shown. */
const grantBody = z
  .strictObject({ reason: text(1, 4_000).optional(), shape: z.boolean().default(false) })
  .meta({ id: 'Grant' });

const readRoutes = (services: Services): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/v1/approvals',
    summary: 'List approvals, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: listApprovals,
    responses: { 200: { description: 'A page of approvals.', schema: pageOf(approvalDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.pass(GOVERNANCE_SUBJECTS.list, query)),
  }),
  defineRoute({
    method: 'GET',
    path: APPROVAL,
    summary: 'Read an approval',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: z.object(minPosition),
    headers: ['If-None-Match'],
    responses: { ...answers, 304: UNCHANGED },
    problems: READ_PROBLEMS,
    handler: async (call) => document(await services.pass(GOVERNANCE_SUBJECTS.get, { ...call.params, ...call.query })),
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/reviews',
    summary: 'List what was executed and flagged for review, the newest first',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    query: listReviews,
    responses: { 200: { description: 'A page of reviews.', schema: pageOf(reviewDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ query }) => found(await services.pass(GOVERNANCE_SUBJECTS.reviews, query)),
  }),
];

const grantRoute = (services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: `${APPROVAL}/grant`,
    summary: 'Grant an approval (A and S: with X-Operator-Key; S: with a reason)',
    tag,
    policy: { access: 'operator', step_up: true },
    params,
    body: grantBody,
    headers: ['Idempotency-Key', 'X-Operator-Key'],
    responses: answers,
    problems: [
      ...['operator-key-required', 'own-request', 'reason-required'],
      ...['approval-settled', 'log-read-only'],
    ],
    handler: async (call) => {
      const command = commandOf(call, 'approval.grant', call.params.approval_id);
      const request = { asked: command.asked, ...call.params, ...call.body, sovereign: call.sovereign };
      return in_flight.run(command, async () => found(await services.ask(GOVERNANCE_SUBJECTS.grant, request)));
    },
  });

const reviewBody = z
  .strictObject({ verdict: review_verdict, reason: text(1, 4_000).optional().describe('Required for not_fine.') })
  .meta({ id: 'GiveReview' });

const reviewRoute = (services: Services, in_flight: CommandsInFlight): Route =>
  defineRoute({
    method: 'POST',
    path: '/v1/reviews/{review_id}',
    summary: 'Say whether a flagged mission was fine; what was not takes back what it gave to evolution',
    tag,
    policy: { access: 'operator' },
    params: z.object({ review_id }),
    body: reviewBody,
    headers: ['Idempotency-Key'],
    responses: { 200: { description: 'The review, given.', schema: reviewDocument } },
    problems: ['operator-required', 'reason-required', 'review-given', 'log-read-only'],
    handler: async (call) => {
      const command = commandOf(call, 'review.give', call.params.review_id);
      const request = { asked: command.asked, ...call.params, ...call.body };
      return in_flight.run(command, async () => found(await services.ask(GOVERNANCE_SUBJECTS.review, request)));
    },
  });

const rulingRoute = (
  name: 'deny' | 'withdraw',
  summary: string,
  services: Services,
  in_flight: CommandsInFlight,
): Route =>
  defineRoute({
    method: 'POST',
    path: `${APPROVAL}/${name}`,
    summary,
    tag,
    policy: { access: 'operator' },
    params,
    body: (name === 'deny' ? requiredReasonBody : reasonBody) as typeof reasonBody,
    headers: ['Idempotency-Key'],
    responses: answers,
    problems: ['approval-settled', 'log-read-only'],
    handler: async (call) => {
      const command = commandOf(call, `approval.${name}`, call.params.approval_id);
      const request = { asked: command.asked, ...call.params, ...call.body };
      return in_flight.run(command, async () => found(await services.ask(GOVERNANCE_SUBJECTS[name], request)));
    },
  });

export const approvalRoutes = (services: Services, in_flight: CommandsInFlight): Route[] => [
  ...readRoutes(services),
  grantRoute(services, in_flight),
  rulingRoute('deny', 'Deny an approval', services, in_flight),
  rulingRoute('withdraw', 'Withdraw an approval, or a grant that still cools off', services, in_flight),
  reviewRoute(services, in_flight),
];
