// What every answer says to browsers, and which origins may ask.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Answers are data: nothing in them may load, run, be framed or be guessed at. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-permitted-cross-domain-policies': 'none',
  'cache-control': 'no-store',
};
const TRANSPORT_SECURITY = 'max-age=31536000; includeSubDomains';
const PREFLIGHT_SECONDS = '600';
const ALLOWED_HEADERS = [
  ...['Authorization', 'Content-Type', 'Idempotency-Key', 'Prefer', 'X-Operator-Key', 'Last-Event-ID', 'If-Match'],
  ...['If-None-Match', 'If-Range', 'Range', 'traceparent', 'X-Request-Id'],
].join(', ');
const EXPOSED_HEADERS = [
  ...['Location', 'Nexusmon-Position', 'Preference-Applied', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'ETag'],
  ...['Content-Range', 'Content-Disposition', 'X-Request-Id'],
].join(', ');
const TUNNEL_ID = /^[A-Za-z0-9-]{1,64}$/;

export type Origins = Readonly<{ allows: (origin: string) => boolean }>;

/** Exact origins only: a list, and one form for each tunnel. */
export const allowedOrigins = (origins: readonly string[], tunnel_ids: readonly string[]): Origins => {
  const allowed = new Set([
    ...origins.filter((origin) => URL.canParse(origin) && new URL(origin).origin === origin),
    ...tunnel_ids.filter((id) => TUNNEL_ID.test(id)).map((id) => `https://${id}.cfargotunnel.com`),
  ]);
  return { allows: (origin) => allowed.has(origin) };
};

export const isSameOrigin = (request: FastifyRequest, origin: string): boolean =>
  origin === `${request.protocol}://${request.headers.host ?? ''}`;

const answerPreflight = (reply: FastifyReply): FastifyReply =>
  reply
    .status(204)
    .headers({
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': PREFLIGHT_SECONDS,
    })
    .send();

export const protectBrowsers = (http: FastifyInstance, origins: Origins): void => {
  http.addHook('onRequest', (request, reply, done) => {
    reply.headers(HEADERS);
    if (request.protocol === 'https') reply.header('strict-transport-security', TRANSPORT_SECURITY);
    const { origin } = request.headers;
    if (origin !== undefined) reply.header('vary', 'Origin');
    if (origin === undefined || !origins.allows(origin)) return done();
    reply.headers({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': [EXPOSED_HEADERS, 'Content-Range, Accept-Ranges, Content-Disposition'].join(
        ', ',
      ),
      'cross-origin-resource-policy': 'cross-origin',
    });
    if (request.method === 'OPTIONS' && request.headers['access-control-request-method'])
      return void answerPreflight(reply);
    return done();
  });
};
