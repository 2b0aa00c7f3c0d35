import { makeAsyncApi } from '../http/asyncapi.js';
import { DOCS_POLICY, renderDocs } from '../http/docs.js';
import { makeOpenApi } from '../http/openapi.js';
import { defineRoute, type Route } from '../http/route.js';
import { READABLE } from '../stream/event-streams.js';

const tag = 'Reference';

/** The reference of all routes, itself included. Made once, when it is first asked for. */
export const withReference = (routes: readonly Route[], version: string): readonly Route[] => {
  let made: Readonly<{ document: string; page: string }> | undefined;
  let events: string | undefined;
  const reference = () => {
    if (made) return made;
    const document = makeOpenApi(all, version);
    made = { document: JSON.stringify(document), page: renderDocs(all, document) };
    return made;
  };
  const all: readonly Route[] = [
    ...routes,
    defineRoute({
      method: 'GET',
      path: '/openapi.json',
      summary: 'This surface as OpenAPI 3.1',
      tag,
      policy: { access: 'public' },
      responses: { 200: { description: 'The document.' } },
      handler: () => ({ status: 200, body: reference().document, media_type: 'application/json; charset=utf-8' }),
    }),
    defineRoute({
      method: 'GET',
      path: '/asyncapi.json',
      summary: 'The events of the log as AsyncAPI 3',
      tag,
      policy: { access: 'public' },
      responses: { 200: { description: 'The document.' } },
      handler: () => ({
        status: 200,
        body: (events ??= JSON.stringify(makeAsyncApi(READABLE, version))),
        media_type: 'application/json; charset=utf-8',
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/docs',
      summary: 'This surface as a page',
      tag,
      policy: { access: 'public' },
      responses: { 200: { description: 'The page.', media_type: 'text/html' } },
      handler: () => ({
        status: 200,
        body: reference().page,
        media_type: 'text/html; charset=utf-8',
        headers: { 'content-security-policy': DOCS_POLICY },
      }),
    }),
  ];
  return all;
};
