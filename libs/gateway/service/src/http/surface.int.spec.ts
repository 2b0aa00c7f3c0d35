import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { silentLogger } from '@nexusmon/telemetry';
import { mission_id, text } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { withReference } from '../routes/docs.routes.js';
import { problem } from './problem.js';
import { defineRoute, type Principal } from './route.js';
import { Admission } from '../access/admission.js';
import { RateLimit } from './rate-limit.js';
import { allowedOrigins } from './security-headers.js';
import { makeSurface } from './surface.js';

const body = z.strictObject({ name: text(1, 10), tasks: z.array(z.strictObject({ id: z.int() })).default([]) });
const principal: Principal = {
  kind: 'session',
  actor: 'operator:owner',
  credential_id: 'ses_1',
  expires_at_ms: Number.MAX_SAFE_INTEGER,
};
const ORIGIN = 'https://cockpit.example';

const routes = [
  defineRoute({
    method: 'POST',
    path: '/v1/things',
    summary: 'Make a thing',
    tag: 'Things',
    policy: { access: 'operator', step_up: true },
    body,
    headers: ['Idempotency-Key'],
    responses: { 201: { description: 'Made.', schema: body } },
    handler: (call) => ({
      status: 201,
      body: { made: call.body, actor: call.principal.actor, sovereign: call.sovereign },
      position: '0.0123456789ab.1.0',
    }),
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/things/{mission_id}',
    summary: 'Read a thing',
    tag: 'Things',
    policy: { access: 'operator' },
    params: z.object({ mission_id }),
    query: z.object({
      limit: z.int().min(1).max(200).default(50),
      all: z.boolean().optional(),
      name: z.string().optional(),
    }),
    responses: { 200: { description: 'It.' } },
    handler: ({ params, query }) => ({ status: 200, body: { params, query } }),
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/seen',
    summary: 'Say for what position a read waits',
    tag: 'Things',
    policy: { access: 'scope', scope: 'missions:write' },
    query: z.object({ min_position: z.string().optional() }),
    responses: { 200: { description: 'It.' } },
    handler: ({ query }) => ({ status: 200, body: query }),
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/scoped',
    summary: 'Make a thing with a token',
    tag: 'Things',
    policy: { access: 'scope', scope: ['missions:write', 'admin'], step_up: true },
    responses: { 200: { description: 'Made.' } },
    handler: (call) => ({ status: 200, body: { actor: call.principal.actor, sovereign: call.sovereign } }),
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/older',
    summary: 'Make a thing with the key in the body',
    tag: 'Things',
    policy: { access: 'operator_key' },
    body: z.strictObject({ name: text(1, 10), operator_key: text(1, 100) }),
    responses: { 200: { description: 'Made.' } },
    handler: ({ body: made, raw_body, principal: { actor }, sovereign }) => ({
      status: 200,
      body: { made, raw_body, actor, sovereign },
    }),
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/either',
    summary: 'Make a thing with the key in the body, or with a session',
    tag: 'Things',
    policy: { access: 'operator_key', or_scope: 'missions:write' },
    deprecated: { since: '2026-01-01T00:00:00.000Z', successor: '/v1/things' },
    body: z.strictObject({ name: text(1, 10), operator_key: text(1, 100).optional() }),
    responses: { 200: { description: 'Made.' } },
    handler: ({ body: made, principal: { kind }, sovereign }) => ({ status: 200, body: { made, kind, sovereign } }),
  }),
  defineRoute({
    method: 'GET',
    path: '/broken',
    summary: 'Throw',
    tag: 'Things',
    policy: { access: 'public' },
    responses: { 200: { description: 'Never.' } },
    handler: () => {
      throw new Error('select password from secrets');
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/torn',
    summary: 'Send half of what was promised',
    tag: 'Things',
    policy: { access: 'public' },
    responses: { 200: { description: 'Never whole.', media_type: 'application/octet-stream' } },
    handler: () => ({
      status: 200,
      headers: { 'content-length': '10' },
      stream: Readable.from(
        (function* () {
          yield Buffer.from('12345');
          throw new Error('torn');
        })(),
        { objectMode: false },
      ),
    }),
  }),
];

const EXPIRES = Number.MAX_SAFE_INTEGER;
const tokenOf = (...scopes: string[]): Principal => ({
  ...{ kind: 'token', actor: 'token:tok_1', credential_id: 'tok_1', expires_at_ms: EXPIRES },
  ...{ scopes, rank_ceiling: 'B' },
});
const CALLERS: Readonly<Record<string, Principal>> = {
  right: principal,
  again: { ...principal, credential_id: 'ses_2' },
  nx_reader: tokenOf('missions:read'),
  nx_writer: tokenOf('missions:write', 'vault:read'),
};

const surfaceWith = (per_credential: number, per_address: number, now_ms?: () => number) =>
  makeSurface({
    routes: withReference(routes, '9.9.9'),
    origins: allowedOrigins([ORIGIN], ['my-tunnel']),
    trusted_proxies: ['127.0.0.1'],
    log: silentLogger(),
    admission: new Admission({
      credentials: {
        authenticate: (_, { text: name }) => {
          const caller = CALLERS[name];
          return caller ? Promise.resolve(caller) : Promise.reject(problem('credential-invalid', 'who are you?'));
        },
      },
      keys: {
        check: (_, key, place) =>
          key === 'key'
            ? Promise.resolve()
            : Promise.reject(problem('operator-key-refused', `the key in the ${place} is wrong`)),
      },
      account: 'operator:owner',
      per_credential: new RateLimit('credential', per_credential, now_ms),
      per_address: new RateLimit('address', per_address, now_ms),
    }),
  });

const http = surfaceWith(10_000, 10_000);
let url = '';
beforeAll(async () => {
  url = await http.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => http.close());

const AUTH = { authorization: 'Bearer right' };
const JSON_TYPE = { 'content-type': 'application/json' };

type Asked = Readonly<{ method?: string; headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> }>;
const ask = async (path: string, { method = 'GET', headers = {}, body: sent }: Asked = {}, at = url) => {
  const response = await fetch(at + path, { method, headers, ...(sent === undefined ? {} : { body: sent }) });
  const content = await response.text();
  const media_type = response.headers.get('content-type') ?? '';
  const document = media_type.includes('json') ? (JSON.parse(content) as Record<string, unknown>) : {};
  return { status: response.status, headers: response.headers, media_type, content, document };
};
const post = (sent: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  ask('/v1/things', { method: 'POST', body: sent, headers: { ...AUTH, ...JSON_TYPE, ...headers } });

/** Bytes as they are: what no client library would send. */
const raw = async (...pieces: readonly string[]): Promise<string> => {
  const socket = connect((http.server.address() as AddressInfo).port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const piece of pieces) socket.write(piece);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
};

const expectProblem = (answer: Awaited<ReturnType<typeof ask>>, status: number, code: string) => {
  expect(answer.document).toMatchObject({ status, code });
  expect(answer.status).toBe(status);
  expect(answer.media_type).toMatch(/^application\/problem\+json/);
  for (const name of ['type', 'title', 'detail', 'instance', 'trace_id', 'hint'])
    expect(answer.document).toHaveProperty(name);
};

describe('a request', () => {
  it('reaches its handler, checked and with defaults', async () => {
    const { status, headers, document } = await post('{"name": "x"}', { 'x-operator-key': 'key' });
    expect([status, headers.get('nexusmon-position')]).toEqual([201, '0.0123456789ab.1.0']);
    expect(document).toEqual({ made: { name: 'x', tasks: [] }, actor: 'operator:owner', sovereign: true });
  });

  it.each([
    ['no body', '', 422, 'schema-violated', ['name']],
    ['cut off', '{"name": "x"', 400, 'malformed-json', ['']],
    ['null', 'null', 422, 'schema-violated', ['']],
    ['an array', '[]', 422, 'schema-violated', ['']],
    ['a wrong type', '{"name": 1}', 422, 'schema-violated', ['name']],
    ['too long', '{"name": "12345678901"}', 422, 'schema-violated', ['name']],
    ['two unknown fields', '{"name": "x", "b": 1, "c": 2}', 422, 'schema-violated', ['b', 'c']],
    ['an unknown field inside', '{"name": "x", "tasks": [{"id": 1, "z": 2}]}', 422, 'schema-violated', ['tasks/0/z']],
    ['NUL', '{"name": "a\\u0000"}', 422, 'schema-violated', ['name']],
    ['__proto__', '{"name": "x", "__proto__": {"a": 1}}', 422, 'schema-violated', ['__proto__']],
    ['20,000 deep', `{"name": ${'['.repeat(20_000)}`, 422, 'schema-violated', undefined],
  ] as const)('is refused for its body: %s', async (_, sent, status, code, paths) => {
    const answer = await post(sent);
    expectProblem(answer, status, code);
    const errors = answer.document['errors'] as { path: string }[];
    if (paths) expect(errors.map(({ path }) => path)).toEqual(paths);
  });

  it.each([
    'text/plain',
    'application/jsonx',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/json; charset=utf-16',
    'application/json; charset="latin1"',
    'nonsense',
    '',
  ])('is refused for its media type: %j', async (type) => {
    expectProblem(await post('{"name": "x"}', { 'content-type': type }), 415, 'media-type-unsupported');
  });

  it.each([
    ['just over 1 MiB', 1024 * 1024 + 1],
    ['10 MB', 10_000_000],
  ])('is refused when its body is too large, and gets to read it: %s', async (_, size) => {
    const sent = new Uint8Array(size).fill(0x20);
    expectProblem(await post(sent), 413, 'body-too-large');
    expectProblem(await post(sent), 413, 'body-too-large');
  });

  it.each(['application/json; charset=utf-8', 'application/json;charset="UTF-8"'])(
    'may say that it is UTF-8: %s',
    async (type) => {
      expect((await post('{"name": "é"}', { 'content-type': type })).status).toBe(201);
    },
  );

  it('of exactly 1 MiB is read', async () => {
    const sent = `{"name": "x"}${' '.repeat(1024 * 1024 - 13)}`;
    expect((await post(sent)).status).toBe(201);
  });

  it.each([
    ['a bad id', '/v1/things/nonsense', 404, 'mission-not-found'],
    ['an id of another kind', '/v1/things/apr_01890000-0000-7000-8000-000000000000', 404, 'mission-not-found'],
    ['an unknown parameter', '/v1/things/ID?colour=red', 422, 'schema-violated'],
    ['a parameter twice', '/v1/things/ID?limit=1&limit=2', 422, 'schema-violated'],
    ['a limit of 0', '/v1/things/ID?limit=0', 422, 'schema-violated'],
    ['a limit of 201', '/v1/things/ID?limit=201', 422, 'schema-violated'],
    ['a limit in hex', '/v1/things/ID?limit=0x10', 422, 'schema-violated'],
    ['an empty limit', '/v1/things/ID?limit=', 422, 'schema-violated'],
    ['NUL in a value', '/v1/things/ID?name=a%00', 422, 'schema-violated'],
    ['__proto__ as a parameter', '/v1/things/ID?__proto__=1', 422, 'schema-violated'],
    ['a broken escape', '/v1/things/%zz', 400, 'malformed-request'],
    ['an unknown route', '/v1/nothing', 404, 'route-not-found'],
    ['an id that is too long', `/v1/things/${'x'.repeat(5_000)}`, 404, 'not-found'],
  ] as const)('is refused for its address: %s', async (_, path, status, code) => {
    const answer = await ask(path.replace('ID', 'msn_01890000-0000-7000-8000-000000000000'), { headers: AUTH });
    expectProblem(answer, status, code);
  });

  it('has typed parameters', async () => {
    const path = '/v1/things/msn_01890000-0000-7000-8000-000000000000?limit=7&all=true';
    const { document } = await ask(path, { headers: AUTH });
    expect(document['query']).toEqual({ limit: 7, all: true });
  });

  it('with another method names those that there are', async () => {
    const answer = await ask('/v1/things', { method: 'DELETE', headers: AUTH });
    expectProblem(answer, 405, 'method-not-allowed');
    expect(answer.headers.get('allow')).toBe('POST');
  });

  it('without a credential gets nothing, and its body is not looked at (F1)', async () => {
    const answer = await ask('/v1/things', { method: 'POST', headers: JSON_TYPE, body: '{' });
    expectProblem(answer, 401, 'credential-required');
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('with a wrong operator key gets nothing, whatever its body, credential and route', async () => {
    const wrong = { 'x-operator-key': 'wrong' };
    expectProblem(await post('{', wrong), 403, 'operator-key-refused');
    for (const path of ['/v1/things/nonsense', '/docs', '/openapi.json'])
      expectProblem(await ask(path, { headers: wrong }), 403, 'operator-key-refused');
  });

  it('of a token does what a scope allows, and nothing that takes an operator', async () => {
    const scoped = (name: string, headers = {}) =>
      ask('/v1/scoped', { method: 'POST', headers: { authorization: `Bearer ${name}`, ...headers } });
    expect((await scoped('nx_writer')).document).toEqual({ actor: 'token:tok_1', sovereign: false });
    expect((await scoped('right', { 'x-operator-key': 'key' })).document).toMatchObject({ sovereign: true });
    expectProblem(await scoped('nx_reader'), 403, 'scope-required');
    expect((await scoped('nx_reader')).document['scopes']).toEqual(['missions:write', 'admin']);
    expectProblem(await scoped('nx_writer', { 'x-operator-key': 'key' }), 403, 'session-required');
    expectProblem(await scoped('nobody'), 401, 'credential-invalid');
    const things = {
      method: 'POST',
      body: '{"name": "x"}',
      headers: { ...JSON_TYPE, authorization: 'Bearer nx_writer' },
    };
    expectProblem(await ask('/v1/things', things), 403, 'session-required');
  });

  it('may be authenticated by the key in its body, which goes no further', async () => {
    const older = (sent: object) =>
      ask('/v1/older', { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(sent) });
    expectProblem(await older({ name: 'x', operator_key: 'wrong' }), 403, 'operator-key-refused');
    expectProblem(await older({ name: 'x' }), 401, 'credential-required');
    expectProblem(await older({ nam: 'x', operator_key: 'key' }), 422, 'schema-violated');
    const { status, document } = await older({ name: 'x', operator_key: 'key' });
    expect(status).toBe(200);
    const things = { made: { name: 'x' }, raw_body: { name: 'x' } };
    expect(document).toEqual({ ...things, actor: 'operator:owner', sovereign: true });
  });

  it('may be authenticated by either, where a route says so', async () => {
    const either = (sent: object, headers = {}) =>
      ask('/v1/either', { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(sent) });
    expectProblem(await either({ name: 'x' }), 401, 'credential-required');
    expectProblem(await either({ name: 'x' }, { authorization: 'Bearer bad' }), 401, 'credential-invalid');
    expectProblem(await either({ name: 'x' }, { authorization: 'Bearer nx_reader' }), 403, 'scope-required');
    expectProblem(await either({ name: 'x', operator_key: 'wrong' }, AUTH), 403, 'operator-key-refused');
    const by_session = await either({ name: 'x' }, AUTH);
    expect(by_session.document).toEqual({ made: { name: 'x' }, kind: 'session', sovereign: false });
    const by_token = await either({ name: 'x' }, { authorization: 'Bearer nx_writer' });
    expect(by_token.document).toEqual({ made: { name: 'x' }, kind: 'token', sovereign: false });
    const by_key = await either({ name: 'x', operator_key: 'key' }, AUTH);
    expect(by_key.document).toEqual({ made: { name: 'x' }, kind: 'key', sovereign: true });
  });

  describe.each(['/v1/older', '/v1/either'])('with the key in its body, to %s', (path) => {
    const keyed = (headers: Record<string, string>, operator_key = 'key') =>
      ask(path, {
        method: 'POST',
        headers: { ...JSON_TYPE, ...headers },
        body: JSON.stringify({ name: 'x', operator_key }),
      });

    it.each<[string, Record<string, string>]>([
      ['none', {}],
      ['a session', AUTH],
      ['one that is not valid', { authorization: 'Bearer bad' }],
      ['one of another scheme', { authorization: 'Basic YTpi' }],
      ['a stale cookie', { cookie: 'nexusmon_session=stale' }],
    ])('is authenticated by it alone, whatever session there is beside it: %s (D4)', async (_, headers) => {
      const { status, document } = await keyed(headers);
      expect([status, document['sovereign']]).toEqual([200, true]);
      expectProblem(await keyed(headers, 'wrong'), 403, 'operator-key-refused');
    });

    it.each([
      ['one that has the scope', 'Bearer nx_writer'],
      ['one that lacks the scope', 'bearer nx_reader'],
      ['one that has ended', 'Bearer nx_ended'],
      ['one that is malformed', 'Bearer  nx_writer, and more'],
    ])('is never of an API token, which no key makes an operator: %s (D3)', async (_, authorization) => {
      expectProblem(await keyed({ authorization }), 403, 'session-required');
      expectProblem(await keyed({ authorization }, 'wrong'), 403, 'operator-key-refused');
    });
  });

  it('to a route that another has taken the place of is told so, whatever the answer (RFC 9745)', async () => {
    for (const headers of [{}, AUTH]) {
      const answer = await ask('/v1/either', { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: '{}' });
      expect(answer.headers.get('deprecation')).toBe('@1767225600');
      expect(answer.headers.get('link')).toBe('</v1/things>; rel="successor-version"');
    }
    expect((await ask('/broken')).headers.has('deprecation')).toBe(false);
  });

  it('for a read waits for what its account has written, in whatever session, and nobody else’s does', async () => {
    const seen = async (name: string) =>
      (await ask('/v1/seen', { headers: { authorization: `Bearer ${name}` } })).document['min_position'];
    const written = (await post('{"name": "x"}')).headers.get('nexusmon-position');
    expect([await seen('right'), await seen('again'), await seen('nx_writer')]).toEqual([written, written, undefined]);
  });

  it('that makes us fail learns that and no more (P2)', async () => {
    const answer = await ask('/broken');
    expectProblem(answer, 500, 'internal-fault');
    expect(answer.content).not.toMatch(/select|password|at /);
  });

  it('never ends well when its content was torn', async () => {
    await expect(ask('/torn')).rejects.toThrow();
  });
});

describe('what is not HTTP', () => {
  it.each([
    ['nonsense', ['nonsense\r\n\r\n'], '400'],
    ['a length that is none', ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n'], '400'],
    ['both lengths', ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'], '400'],
    ['headers without end', ['GET / HTTP/1.1\r\nhost: x\r\n', `x: ${'y'.repeat(20_000)}\r\n\r\n`], '431'],
  ])('is answered with a problem (F2): %s', async (_, pieces, status) => {
    const answer = await raw(...pieces);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/problem+json');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ status: Number(status) });
  });
});

describe('an answer', () => {
  it('tells browsers to trust nothing in it', async () => {
    for (const path of ['/docs', '/nowhere', '/broken']) {
      const { headers } = await ask(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/);
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it.each([ORIGIN, 'https://my-tunnel.cfargotunnel.com'])('may be read by a listed origin: %s', async (origin) => {
    const { headers } = await ask('/openapi.json', { headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    const method = { origin, 'access-control-request-method': 'POST' };
    expect((await ask('/v1/things', { method: 'OPTIONS', headers: method })).status).toBe(204);
  });

  it.each([
    'https://evil-cockpit.example',
    'https://cockpit.example.evil',
    'http://cockpit.example',
    'https://cockpit.example:444',
    'https://x.cfargotunnel.com',
    'https://my-tunnel.cfargotunnel.com.evil',
    'https://evil.my-tunnel.cfargotunnel.com',
    'http://my-tunnel.cfargotunnel.com',
    'https://cockpit.example.',
    'https://COCKPIT.example',
    'https://user@cockpit.example',
    'https://cockpit.example/',
    'https://cockpit.example, https://cockpit.example',
    'null',
    '*',
  ])('may not be read by another: %s', async (origin) => {
    const { headers } = await ask('/openapi.json', { headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('echoes a harmless request id, and continues a trace', async () => {
    const trace_id = 'a'.repeat(32);
    const headers = { 'x-request-id': 'req-1', traceparent: `00-${trace_id}-${'b'.repeat(16)}-01` };
    expect((await ask('/nowhere', { headers })).headers.get('x-request-id')).toBe('req-1');
    expect((await ask('/nowhere', { headers: { 'x-request-id': 'a b' } })).headers.get('x-request-id')).not.toBe('a b');
  });
});

describe('the reference', () => {
  it('lists every route with its policy, and no reference in it dangles', async () => {
    const { document, content } = await ask('/openapi.json');
    const paths = document['paths'] as Record<string, Record<string, { security: unknown[] }>>;
    expect(Object.keys(paths)).toEqual([
      '/v1/things',
      '/v1/things/{mission_id}',
      '/v1/seen',
      '/v1/scoped',
      '/v1/older',
      '/v1/either',
      '/broken',
      '/torn',
      '/openapi.json',
      '/asyncapi.json',
      '/docs',
    ]);
    expect(paths['/v1/things']?.['post']?.security).toHaveLength(2);
    expect(paths['/docs']?.['get']?.security).toEqual([]);
    const schemas = (document['components'] as { schemas: object }).schemas;
    for (const [, name = ''] of content.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      expect(schemas).toHaveProperty(name);
    expect(content).not.toContain('$defs');
  });

  it('is a page that loads and runs nothing', async () => {
    const { content, media_type } = await ask('/docs');
    expect(media_type).toMatch(/^text\/html/);
    expect(content).toContain('id="malformed-json"');
    expect(content).not.toMatch(/<script|src=|https?:\/\/(?!$)/);
  });
});

describe('requests beyond a limit', () => {
  const from = (address: string, name?: string) => ({
    ...{ 'x-forwarded-for': address },
    ...(name === undefined ? {} : { authorization: `Bearer ${name}` }),
  });
  const path = '/v1/things/msn_01890000-0000-7000-8000-000000000000';
  let limited: ReturnType<typeof surfaceWith>;
  let there = '';
  beforeEach(async () => {
    limited = surfaceWith(6, 3, () => 0); // No time goes by.
    there = await limited.listen({ host: '127.0.0.1', port: 0 });
  });
  afterEach(() => limited.close());
  const statuses = async (times: number, to: string, headers: Record<string, string>) => {
    const seen: number[] = [];
    for (let time = 0; time < times; time += 1) seen.push((await ask(to, { headers }, there)).status);
    return seen;
  };

  it('are told so, by address where there is no credential, on any route', async () => {
    expect(await statuses(2, '/docs', from('10.0.0.1'))).toEqual([200, 200]);
    const answer = await ask('/nowhere', { headers: from('10.0.0.1') }, there);
    expect([answer.status, answer.headers.get('ratelimit')]).toEqual([404, '"address";r=0;t=1']);
    const refused = await ask('/docs', { headers: from('10.0.0.1') }, there);
    expectProblem(refused, 429, 'too-many-requests');
    const told = ['retry-after', 'ratelimit-policy', 'x-content-type-options'].map((name) => refused.headers.get(name));
    expect(told).toEqual(['1', '"address";q=3;w=1', 'nosniff']);
    expect(await statuses(1, '/docs', from('10.0.0.2'))).toEqual([200]);
  });

  it('count for the address also when each has a credential of its own that is none', async () => {
    const seen: number[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) seen.push(...(await statuses(1, path, from('10.0.0.3', name))));
    expect(seen).toEqual([401, 401, 401, 429, 429]);
    for (const [to, host] of [['/nowhere', 4] as const, ['/docs', 5] as const]) {
      const status = to === '/docs' ? 200 : 404;
      expect(await statuses(4, to, from(`10.0.1.${host}`, 'f'))).toEqual([status, status, status, 429]);
    }
  });

  it('count for the address before a wrong operator key is looked at, whatever credential comes with it', async () => {
    const seen: number[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      seen.push(...(await statuses(1, path, { ...from('10.0.0.7', name), 'x-operator-key': 'wrong' })));
    expect(seen).toEqual([403, 403, 403, 429, 429]);
  });

  it('count for a credential that is right from the first on, however many come at once', async () => {
    const asked = Array.from({ length: 6 }, () => statuses(1, path, from('10.0.0.6', 'right')));
    expect((await Promise.all(asked)).flat()).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await statuses(3, '/docs', from('10.0.0.6'))).toEqual([200, 200, 200]);
  });

  it('count for the credential where it is right, whatever others of its address do', async () => {
    expect(await statuses(1, path, from('10.0.0.4', 'right'))).toEqual([200]);
    expect(await statuses(4, '/docs', from('10.0.0.4'))).toEqual([200, 200, 200, 429]);
    expect(await statuses(6, path, from('10.0.0.4', 'right'))).toEqual([200, 200, 200, 200, 200, 429]);
    expect(await statuses(1, path, from('10.0.0.5', 'right'))).toEqual([429]);
  });

  it('count together for a network of IPv6', async () => {
    for (const host of ['1', '2', '3'])
      expect(await statuses(1, '/docs', from(`2001:db8:0:1::${host}`))).toEqual([200]);
    expect(await statuses(1, '/docs', from('2001:db8:0:1::4'))).toEqual([429]);
    expect(await statuses(1, '/docs', from('2001:db8:0:2::4'))).toEqual([200]);
  });
});
