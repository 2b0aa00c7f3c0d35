import { sessionDocument } from '@nexusmon/access-contract';
import { instant, pageQuery, session_id, text } from '@nexusmon/shared-contract';
import { z } from 'zod';
import type { AccessLists } from '../access/access.js';
import type { Sessions } from '../access/sessions.js';
import { defineRoute, type Route } from '../http/route.js';
import { found, LIST_PROBLEMS, minPosition, OPERATOR_KEY_LENGTH_MAX, pageOf } from './conventions.js';

const tag = 'Access';

const loginBody = z.strictObject({ operator_key: text(1, OPERATOR_KEY_LENGTH_MAX) }).meta({ id: 'Login' });
const loggedIn = z.strictObject({ token: z.string(), expires_at: instant }).meta({ id: 'LoggedIn' });

const at = (position: string | undefined) => (position === undefined ? {} : { position });

const sessionRoutes = (sessions: Sessions, list: AccessLists['sessions']): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/v1/auth/sessions',
    summary: 'List the sessions of whoever asks, the newest first',
    tag,
    policy: { access: 'operator' },
    query: z.object({ ...pageQuery, ...minPosition }),
    responses: { 200: { description: 'A page of sessions.', schema: pageOf(sessionDocument) } },
    problems: LIST_PROBLEMS,
    handler: async ({ principal, query: { limit, cursor, min_position } }) =>
      found(await list({ account: principal.actor, limit, cursor, min_position })),
  }),
  defineRoute({
    method: 'DELETE',
    path: '/v1/auth/sessions/{session_id}',
    summary: 'End a session',
    tag,
    policy: { access: 'operator' },
    params: z.object({ session_id }),
    responses: { 200: { description: 'The session, ended.', schema: sessionDocument } },
    problems: ['log-read-only'],
    handler: async ({ principal, params }) => {
      const { session, position } = await sessions.revoke(principal, params.session_id);
      return { status: 200, body: session, ...at(position) };
    },
  }),
];

export const authRoutes = (sessions: Sessions, list: AccessLists['sessions']): Route[] => [
  ...sessionRoutes(sessions, list),
  defineRoute({
    method: 'POST',
    path: '/v1/auth/login',
    summary: 'Open a session with the operator key',
    tag,
    policy: { access: 'public' },
    body: loginBody,
    responses: { 200: { description: 'The token, which is shown once, also as a cookie.', schema: loggedIn } },
    problems: ['operator-key-invalid', 'locked-out', 'origin-refused', 'log-read-only'],
    handler: async ({ body, request }) => {
      const { token, expires_at, cookie, position, account } = await sessions.open(request, body.operator_key);
      const headers = { 'set-cookie': cookie };
      return { status: 200, body: { token, expires_at }, ...at(position), written_by: account, headers };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/auth/logout',
    summary: 'End the session that asks',
    tag,
    policy: { access: 'operator' },
    responses: { 200: { description: 'The session, ended.', schema: sessionDocument } },
    problems: ['log-read-only'],
    handler: async ({ principal, request }) => {
      const { session, cookie, position } = await sessions.leave(principal, request);
      return { status: 200, body: session, ...at(position), headers: { 'set-cookie': cookie } };
    },
  }),
];
