import { tokenDocument, token_id, type Scope } from '@nexusmon/access-contract';
import { pageQuery } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { tokenBody, type ApiTokens } from '../access/api-tokens.js';
import type { AccessLists } from '../access/access.js';
import { field, problem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { found, LIST_PROBLEMS, minPosition, pageOf } from './conventions.js';

const tag = 'Access';
const TOKENS = '/v1/auth/tokens';

const issued = z
  .object({ ...tokenDocument.shape, token: z.string().describe('The token itself: shown now, and never again.') })
  .meta({ id: 'IssuedToken' });

/** A scope that no route asks for would be a promise about routes to come. */
const checkScopes = (asked: readonly Scope[], offered: ReadonlySet<Scope>): void => {
  const errors = asked.flatMap((scope, index) =>
    offered.has(scope)
      ? []
      : [field(`scopes/${index}`, `no route takes ${scope}: ${[...offered].join(', ')} are taken`)],
  );
  if (errors.length > 0) throw problem('schema-violated', { detail: 'body: a scope that no route takes', errors });
};

export const tokenRoutes = (
  tokens: ApiTokens,
  list: AccessLists['tokens'],
  offered: () => ReadonlySet<Scope>,
): Route[] => [
  defineRoute({
    method: 'POST',
    path: TOKENS,
    summary: 'Issue an API token',
    tag,
    policy: { access: 'operator' },
    body: tokenBody,
    responses: { 201: { description: 'The token, which is shown once.', schema: issued } },
    problems: ['log-read-only'],
    handler: async ({ principal, body }) => {
      checkScopes(body.scopes, offered());
      const { document, token, position } = await tokens.issue(principal, body);
      return { status: 201, body: { ...document, token }, position };
    },
  }),
  defineRoute({
    method: 'GET',
    path: TOKENS,
    summary: 'List the API tokens of whoever asks, the newest first',
    tag,
    policy: { access: 'operator' },
    query: z.object({ ...pageQuery, ...minPosition }),
    responses: { 200: { description: 'A page of tokens, without their secrets.', schema: pageOf(tokenDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ principal, query: { limit, cursor, min_position } }) =>
      found(await list({ account: principal.actor, limit, cursor, min_position })),
  }),
  defineRoute({
    method: 'DELETE',
    path: `${TOKENS}/{token_id}`,
    summary: 'Revoke an API token',
    tag,
    policy: { access: 'operator' },
    params: z.object({ token_id }),
    responses: { 200: { description: 'The token, revoked.', schema: tokenDocument } },
    problems: ['log-read-only'],
    handler: async ({ principal, params }) => {
      const { document, position } = await tokens.revoke(principal, params.token_id);
      return { status: 200, body: document, position };
    },
  }),
];
