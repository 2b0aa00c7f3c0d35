// The surface: routes become HTTP
//
//   F1. A request is judged in this order: rate, operator key, credential, shape, handler. No body is read, and no
//       handler runs, for somebody who may not ask. A key in a body is looked at once the body has its shape.
//   F2. Whatever goes wrong leaves as a problem document, also what Fastify or Node refuse by themselves.
//   F3. What is not in the registry does not exist: 404, or 405 where another method does.

import { hash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { JsonText } from '@nexusmon/messaging';
import { beginSpan, histogram, withTraceparent, type Logger } from '@nexusmon/telemetry';
import { context as activeContext, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Admission } from '../access/admission.js';
import { acceptJsonBodies, BODY_BYTES_MAX } from './body.js';
import { endLingering, HEAD_CHECK_MS, HEAD_MS } from './deadlines.js';
import { problemOf } from './faults.js';
import { acceptForms } from './forms.js';
import { hasTag } from './entity-tag.js';
import { field, problem, renderProblem, type Problem } from './problem.js';
import { fastifyPath, TAKEN, type Answered, type Call, type Deprecated, type Principal, type Route } from './route.js';
import { protectBrowsers, type Origins } from './security-headers.js';
import { OwnWrites } from './own-writes.js';
import { bodyOf, makeValidator, type Validated } from './validation.js';

const HEADER_BYTES_MAX = 16 * 1024;
const PARAM_LENGTH_MAX = 200;
const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;

export type SurfaceOptions = Readonly<{
  routes: readonly Route[];
  origins: Origins;
  trusted_proxies: readonly string[];
  log: Logger;
  /** @default those of deadlines.ts */
  deadlines?: Readonly<{ body_ms?: number; linger_ms?: number }>;
  admission: Pick<Admission, 'count' | 'countUnasked' | 'admit' | 'admitByKey'>;
}>;

/** What one request carries from hook to hook. */
type Exchange = {
  readonly span: Span;
  readonly trace_id: string;
  readonly started_ms: number;
  principal: Principal | undefined;
  sovereign: boolean;
  /** What is wrong with the credential, where the body may have the operator key. */
  refused?: Problem;
};

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange | undefined;
  }
}

const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '';

const begin = (request: FastifyRequest): Exchange => {
  const attributes = { 'http.request.method': request.method, 'url.path': pathOf(request) };
  const { traceparent } = request.headers;
  const span = withTraceparent(typeof traceparent === 'string' ? traceparent : undefined, () =>
    beginSpan(request.method, SpanKind.SERVER, attributes),
  );
  return {
    span,
    trace_id: span.spanContext().traceId,
    started_ms: performance.now(),
    principal: undefined,
    sovereign: false,
  };
};

const requestSeconds = histogram('nexusmon_http_request_seconds', {
  says: 'From the head of a request to its answer.',
});

const finish = (request: FastifyRequest, reply: FastifyReply, log: Logger): void => {
  const { exchange } = request;
  if (!exchange) return;
  const route = request.routeOptions.url ?? 'none';
  exchange.span.updateName(`${request.method} ${route}`);
  exchange.span.setAttribute('http.route', route);
  exchange.span.setAttribute('http.response.status_code', reply.statusCode);
  if (reply.statusCode >= 500) exchange.span.setStatus({ code: SpanStatusCode.ERROR });
  exchange.span.end();
  const duration_ms = performance.now() - exchange.started_ms;
  requestSeconds(duration_ms / 1_000, { method: request.method, route, status: reply.statusCode });
  const path = pathOf(request);
  log.info({
    msg: 'request',
    method: request.method,
    route,
    path,
    status: reply.statusCode,
    duration_ms: Math.round(duration_ms * 1_000) / 1_000,
    request_id: request.id,
    trace_id: exchange.trace_id,
    ...(exchange.principal ? { actor: exchange.principal.actor } : {}),
  });
};

const sendProblem = (failure: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const document = renderProblem(
    failure,
    pathOf(request),
    request.exchange?.trace_id ?? randomBytes(16).toString('hex'),
  );
  if (failure.status === 401) reply.header('www-authenticate', 'Bearer realm="nexusmon"');
  return reply
    .status(failure.status)
    .headers({ ...failure.details.headers, 'content-type': 'application/problem+json; charset=utf-8' })
    .send(JSON.stringify(document));
};

const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply => {
  const failure = problemOf(error);
  if (failure.status >= 500) {
    const fields = { error, code: failure.code, request_id: request.id, trace_id: request.exchange?.trace_id };
    if (failure.status === 500) log.error({ msg: 'a request failed', ...fields });
    else log.warn({ msg: 'a request could not be answered now', ...fields });
  }
  return sendProblem(failure, request, reply);
};

/** The tag of a document's bytes; true when the caller has just these. */
const isHeld = (json: string | Buffer, request: FastifyRequest, reply: FastifyReply): boolean => {
  const tag = hash('sha256', json, 'base64url');
  reply.header('etag', `"${tag}"`).header('cache-control', 'private, no-cache');
  return hasTag(request.headers['if-none-match'], tag);
};

const send = (answer: Answered, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  reply.status(answer.status);
  if (answer.headers) reply.headers(answer.headers);
  if (answer.position) reply.header('nexusmon-position', answer.position);
  if (answer.stream) return reply.send(answer.stream);
  // Without anything to send Fastify would say that its length is 0, whatever the handler has said.
  if (request.method === 'HEAD' && answer.body === undefined) return reply.send(Readable.from([]));
  if (answer.body === undefined) return reply.send();
  if (answer.media_type) return reply.type(answer.media_type).send(answer.body);
  const json = answer.body instanceof JsonText ? answer.body.bytes : JSON.stringify(answer.body);
  if (answer.tagged && isHeld(json, request, reply)) return reply.status(304).send();
  return reply.type('application/json; charset=utf-8').send(json);
};

const callOf = (request: FastifyRequest, reply: FastifyReply, validated: Validated) => ({
  ...validated,
  sovereign: request.exchange?.sovereign ?? false,
  get principal(): Principal {
    const principal = request.exchange?.principal;
    if (!principal) throw new Error(`${request.method} ${request.url}: nobody is behind this request`);
    return principal;
  },
  request,
  reply,
});

const exchangeOf = (request: FastifyRequest): Exchange => {
  if (request.exchange) return request.exchange;
  throw new Error(`${request.method} ${request.url}: the request has not begun`);
};

type KeyedBody = Readonly<{ operator_key?: string }>;

/** Whoever sends neither a key nor, where one counts, a session is told so before anything else of the body is. */
const requireKey = (request: FastifyRequest): void => {
  const body = bodyOf(request);
  const has_key = typeof body === 'object' && body !== null && Object.hasOwn(body, 'operator_key');
  const { principal, refused } = exchangeOf(request);
  if (has_key || principal) return;
  if (refused) throw refused;
  throw problem('credential-required', {
    detail: 'this route needs the operator key in its body',
    errors: [field('operator_key', 'missing')],
  });
};

/** The key goes no further: not to a service, nor into the digest that an Idempotency-Key is bound to. */
const admitByBody = async (
  request: FastifyRequest,
  { body, raw_body, ...validated }: Validated,
  admission: SurfaceOptions['admission'],
): Promise<Validated> => {
  const { operator_key, ...rest } = body as KeyedBody;
  if (operator_key === undefined) return { ...validated, body, raw_body };
  Object.assign(exchangeOf(request), await admission.admitByKey(request, operator_key));
  const { operator_key: sent, ...raw_rest } = raw_body as KeyedBody;
  void sent;
  return { ...validated, body: rest, raw_body: raw_rest };
};

/** RFC 9745 and RFC 5829: since when, and what to use instead. */
const sayDeprecated = (reply: FastifyReply, { since, successor }: Deprecated): void => {
  reply
    .header('deprecation', `@${Date.parse(since) / 1_000}`)
    .header('link', `<${successor}>; rel="successor-version"`);
};

/** A read that could wait for a position, and names none, waits for what its account has written. */
const afterOwnWrites = (route: Route, validated: Validated, request: FastifyRequest, own: OwnWrites): Validated => {
  const principal = request.exchange?.principal;
  if (!principal || !route.query?.shape['min_position']) return validated;
  const query = validated.query as Readonly<{ min_position?: string }>;
  const min_position = query.min_position ?? own.floor(principal.actor);
  return min_position === undefined ? validated : { ...validated, query: { ...query, min_position } };
};

const noteWrite = (route: Route, answer: Answered, request: FastifyRequest, own: OwnWrites): void => {
  const account = request.exchange?.principal?.actor ?? answer.written_by;
  if (route.method !== 'GET' && account && answer.position) own.note(account, answer.position);
};

const mount = (http: FastifyInstance, route: Route, { admission }: SurfaceOptions, own: OwnWrites): void => {
  const validate = makeValidator(route);
  http.route({
    method: route.method,
    url: fastifyPath(route.path),
    // A stream without end has no head that could be waited for.
    exposeHeadRoute: route.method === 'GET' && !isEndless(route),
    onRequest: async (request, reply) => {
      if (route.deprecated) sayDeprecated(reply, route.deprecated);
      Object.assign(exchangeOf(request), await admission.admit(request, reply, route.policy));
    },
    handler: async (request, reply) => {
      if (route.policy.access === 'operator_key') requireKey(request);
      const sent = validate(request);
      const admitted = route.policy.access === 'operator_key' ? await admitByBody(request, sent, admission) : sent;
      const call = callOf(request, reply, afterOwnWrites(route, admitted, request, own));
      const answer = await route.handler(call as unknown as Call<never, never, never>);
      // Fastify takes a reply that was hijacked for one that answers itself.
      if (answer === TAKEN) return reply;
      noteWrite(route, answer, request, own);
      return send(answer, request, reply);
    },
  });
};

const isEndless = (route: Route): boolean => route.responses[200]?.media_type === 'text/event-stream';

/** `/a/{b}` as the expression that its paths match. */
const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{[a-z_]+\}/g, '[^/]+')}$`);

const refuseUnknown = (http: FastifyInstance, { routes, admission }: SurfaceOptions): void => {
  const known = routes.map(({ method, path }) => ({ method, pattern: patternOf(path) }));
  http.setNotFoundHandler((request, reply) => {
    admission.countUnasked(request, reply);
    const path = pathOf(request);
    const methods = [...new Set(known.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))];
    if (methods.length === 0) throw problem('route-not-found', `there is no route ${path}`);
    const allow = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ');
    throw problem('method-not-allowed', {
      detail: `${path} has ${allow}, not ${request.method}`,
      facts: { allowed: methods },
      headers: { allow },
    });
  });
};

const RAW_STATUS: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', `the headers are larger than ${HEADER_BYTES_MAX} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive in time'],
};

/** What never became a request: Node's parser gave up, and there is nothing but a socket to answer on. */
const answerRaw = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, detail] = RAW_STATUS[error.code ?? ''] ?? ['400 Bad Request', 'the request is not HTTP'];
  const failure = problem('malformed-request', { detail, errors: [field('', detail)] });
  const document = {
    ...renderProblem(failure, '', randomBytes(16).toString('hex')),
    status: Number.parseInt(status, 10),
  };
  const body = JSON.stringify(document);
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    'connection: close',
  ];
  if (socket.writable) socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  else socket.destroy();
};

export const makeSurface = (options: SurfaceOptions): FastifyInstance => {
  const { log, routes, deadlines } = options;
  const http = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    // Bodies have deadlines of their own: one for all of them would end uploads that go on.
    requestTimeout: 0,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEAD_MS,
      connectionsCheckingInterval: HEAD_CHECK_MS,
    },
    trustProxy: options.trusted_proxies.length > 0 ? [...options.trusted_proxies] : false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    // Whoever is being answered gets the answer; the rest of the connections end at once.
    forceCloseConnections: 'idle',
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomBytes(12).toString('base64url');
    },
    frameworkErrors: (error, request, reply) => void fail(error, request, reply, log),
    clientErrorHandler: answerRaw,
  }) as unknown as FastifyInstance;
  http.decorateRequest('exchange', undefined);
  http.addHook('onRequest', (request, reply, done) => {
    const exchange = begin(request);
    request.exchange = exchange;
    reply.header('x-request-id', request.id);
    // Everything after this hook, body and handler included, runs inside the span.
    activeContext.with(trace.setSpan(activeContext.active(), exchange.span), done);
  });
  protectBrowsers(http, options.origins);
  http.addHook('onRequest', (request, reply, done) => {
    options.admission.count(request, reply);
    done();
  });
  acceptJsonBodies(http, deadlines?.body_ms);
  endLingering(http, deadlines?.linger_ms);
  http.addHook('onResponse', (request, reply, done) => {
    finish(request, reply, log);
    done();
  });
  http.setErrorHandler((error: FastifyError, request, reply) => fail(error, request, reply, log));
  refuseUnknown(http, options);
  const own = new OwnWrites();
  for (const route of routes) if (!route.form) mount(http, route, options, own);
  acceptForms(http, (forms) => {
    for (const route of routes) if (route.form) mount(forms, route, options, own);
  });
  return http;
};
