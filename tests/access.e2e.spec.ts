// Who may do what, on the whole product: every route by every identity, API tokens, limits, and what a wrong operator
// key costs.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import { SignJWT } from 'jose';
import { EventSource } from './support/event-source.js';
import { messagesOf } from './support/folds.js';
import { BY_KEY, OPERATOR, POLICIES, PUBLIC, type Scope } from './support/policies.js';
import { eventually, Client, Product, type Problem } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const TOKENS = '/v1/auth/tokens';
const HOUR = 3_600;
const JWT_SECRET = 'a secret of this spec, of at least thirty-two bytes';

let product: Product;
let operator: Client;
let anyone: Client;

beforeAll(async () => {
  // Each caller of this spec can have an address of its own; the limits are those of the product.
  const env = { TRUSTED_PROXIES: '127.0.0.1', SWARMZ_JWT_SECRET: JWT_SECRET, NEXUSMON_RATE_PER_ADDRESS: '' };
  product = await Product.start({ env });
  operator = await product.operator();
  anyone = await product.anyone();
}, 300_000);
afterAll(() => product.remove(), 60_000);

type Issued = Readonly<{ token: string; token_id: string; status: string; last_used_at?: string }>;

const issue = async (scopes: readonly Scope[], more: object = {}): Promise<Issued> => {
  const answer = await operator.post<Issued>(TOKENS, { name: 'a spec', scopes, ...more });
  expect(answer.status).toBe(201);
  return answer.body;
};
const clientWith = (token: string) => new Client(operator.url, token, operator.operator_key);

type Declared = Readonly<{ access: string; scope?: Scope | readonly Scope[]; or_scope?: Scope }>;
type OpenApi = Readonly<{ paths: Record<string, Record<string, { 'x-policy': Declared }>> }>;

const declaredPolicies = async () => {
  const { body } = await operator.get<OpenApi>('/openapi.json');
  return Object.fromEntries(
    Object.entries(body.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { 'x-policy': policy }]) => [
        `${method.toUpperCase()} ${path}`,
        policy.scope || policy.or_scope ? [policy.scope ?? policy.or_scope ?? []].flat() : policy.access,
      ]),
    ),
  ) as Record<string, string | readonly Scope[]>;
};

let addresses = 0;
/** One request from an address of its own (in a /24 of the caller's choice): the status, and the code of a problem. */
const probe = async (route: string, headers: Record<string, string>) => {
  const [method = '', path = ''] = route.split(' ');
  const ids: Record<string, string> = { mission_id: 'msn', session_id: 'ses', token_id: 'tok', approval_id: 'apr' };
  const address = path.replaceAll(
    /\{([a-z_]+)\}/g,
    (_, name: string) => `${ids[name] ?? 'art'}_01890000-0000-7000-8000-000000000000`,
  );
  addresses += 1;
  const response = await fetch(`${operator.url}${address}`, {
    method,
    headers: {
      ...{ 'user-agent': 'nexusmon-tests' },
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...headers,
      'x-forwarded-for': `${headers['x-forwarded-for'] ?? `10.9.${addresses >> 8}`}.${addresses & 255}`,
    },
    // Nothing that a route would do something with.
    ...(method === 'POST' ? { body: '{"no_such_field": 1}' } : {}),
  });
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
  if (/problem/.test(response.headers.get('content-type') ?? ''))
    return { status: response.status, code: ((await response.json()) as Problem).code };
  await response.body?.cancel();
  return { status: response.status, code: '' };
};

describe('every route', () => {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  /** A session is bound to where it was opened. */
  const home = (token: string) => ({ ...bearer(token), 'x-forwarded-for': '127.0.0' });
  const signed = (change: (jwt: SignJWT) => SignJWT) =>
    change(
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
        .setIssuer('nexus-auth')
        .setAudience('nexus-dashboard')
        .setSubject('operator:owner')
        .setJti('ses_01890000-0000-7000-8000-000000000000')
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime('1h'),
    ).sign(new TextEncoder().encode(JWT_SECRET));

  it('has the policy that it is meant to have', async () => {
    expect(await declaredPolicies()).toEqual(POLICIES);
  });

  it('is closed to whoever has no credential that counts, unless it is public', async () => {
    const [ended, stolen] = [await product.operator(), await product.operator()];
    expect((await ended.post('/v1/auth/logout')).status).toBe(200);
    const revoked = await issue(['missions:read', 'missions:write', 'vault:read', 'admin']);
    expect((await operator.call('DELETE', `${TOKENS}/${revoked.token_id}`)).status).toBe(200);
    const other_secret = `${(await issue(['missions:read'])).token.slice(0, -43)}${'A'.repeat(43)}`;
    const nobodies: Readonly<Record<string, Record<string, string>>> = {
      nobody: {},
      nonsense: bearer('nonsense'),
      'another scheme': { authorization: 'Basic YTpi' },
      'the operator key as a token': bearer(operator.operator_key),
      'an ended session': home(ended.token ?? ''),
      'a session of another client': { ...home(stolen.token ?? ''), 'user-agent': 'another' },
      'an expired session': home(await signed((jwt) => jwt.setExpirationTime('-1s'))),
      'a session that was never opened': home(await signed((jwt) => jwt)),
      'a token cut short': home((operator.token ?? '').slice(0, -4)),
      'a revoked API token': bearer(revoked.token),
      'an API token with another secret': bearer(other_secret),
      'an API token that was never issued': bearer(`nx_tok_01890000-0000-7000-8000-000000000000_${'A'.repeat(43)}`),
      'an API token as a cookie': { cookie: `nexusmon_session=${other_secret}` },
    };
    const wrong: object[] = [];
    for (const [who, headers] of Object.entries(nobodies))
      await Promise.all(
        Object.entries(POLICIES).map(async ([route, policy]) => {
          const { status, code } = await probe(route, headers);
          const right = policy !== PUBLIC ? 401 : route.startsWith('GET ') ? 200 : 422;
          if (status !== right) wrong.push({ who, route, status, code });
        }),
      );
    expect(wrong).toEqual([]);
  });

  it('is open to a session', async () => {
    const session = await product.operator();
    const wrong: object[] = [];
    for (const route of Object.keys(POLICIES)) {
      if (route === 'POST /v1/auth/logout') continue; // It would be the last that this session may do.
      const { status, code } = await probe(route, home(session.token ?? ''));
      if (POLICIES[route] === BY_KEY && status === 401) continue; // No session stands in for the key.
      if ([401, 403, 429].includes(status) || status >= 500) wrong.push({ route, status, code });
    }
    expect(wrong).toEqual([]);
  });

  it('is open to an API token with its scope, and to no other', async () => {
    const offered = new Set(Object.values(POLICIES).flatMap((policy) => (typeof policy === 'string' ? [] : policy)));
    const wrong: object[] = [];
    for (const scope of offered) {
      const { token } = await issue([scope]);
      await Promise.all(
        Object.entries(POLICIES).map(async ([route, policy]) => {
          const { status, code } = await probe(route, bearer(token));
          const open = policy === PUBLIC || policy.includes(scope);
          const refusal = policy === OPERATOR ? 'session-required' : 'scope-required';
          const refused = policy === BY_KEY ? status === 401 : code === refusal && status === 403;
          const right = open ? ![401, 403, 429].includes(status) && status < 500 : refused;
          if (!right) wrong.push({ scope, route, status, code });
        }),
      );
    }
    expect(wrong).toEqual([]);
  });
});

const echo = { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] };

describe('an API token', () => {
  it('is shown once, and listed with its use but without its secret', async () => {
    const issued = await issue(['missions:read'], { rank_ceiling: 'C', expires_in_days: 365 });
    expect(issued.token).toMatch(/^nx_tok_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}$/);
    expect((await clientWith(issued.token).get(MISSIONS)).status).toBe(200);
    const listed = async () => {
      const { body } = await operator.get<Page<Issued>>(TOKENS);
      expect(JSON.stringify(body)).not.toContain(issued.token.slice(-43));
      return body.data.find(({ token_id }) => token_id === issued.token_id);
    };
    await eventually(async () => (await listed())?.last_used_at !== undefined);
    const { token, ...shown } = issued;
    void token;
    expect(await listed()).toMatchObject({ ...shown, scopes: ['missions:read'], rank_ceiling: 'C', status: 'active' });
  });

  it('is another one for each request, whatever its Idempotency-Key', async () => {
    const body = { name: 'twice', scopes: ['missions:read'] };
    const once = () => operator.post<Issued>(TOKENS, body, { 'idempotency-key': 'one-and-the-same' });
    const [first, second] = [await once(), await once()];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.body.token).not.toBe(second.body.token);
  });

  it.each([
    ['no scope', { scopes: [] }, 'scopes'],
    ['a scope twice', { scopes: ['admin', 'admin'] }, 'scopes'],
    ['an unknown scope', { scopes: ['missions:all'] }, 'scopes/0'],
    ['a scope that no route takes', { scopes: ['audit:export'] }, 'scopes/0'],
    ['more than a year', { scopes: ['admin'], expires_in_days: 366 }, 'expires_in_days'],
    ['no name', { scopes: ['admin'], name: '' }, 'name'],
    ['an account of its own', { scopes: ['admin'], account: 'operator:other' }, 'account'],
  ])('is not issued with %s', async (_, body, path) => {
    const answer = await operator.post<Problem>(TOKENS, { name: 'a spec', ...body });
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, path]);
  });

  it('moves no mission above its ceiling, and is told which that is', async () => {
    const program = clientWith((await issue(['missions:read', 'missions:write'], { rank_ceiling: 'D' })).token);
    const create = (rank: string, client = program) =>
      client.post<MissionDocument & Omit<Problem, 'status'>>(MISSIONS, {
        goal: 'Say it',
        plan: echo,
        rank,
        hold: true,
      });
    const made = await create('D');
    expect([made.status, made.body.requested_by]).toEqual([201, expect.stringMatching(/^token:tok_/)]);
    expect((await program.post(`${MISSIONS}/${made.body.mission_id}/run`)).status).toBe(200);
    const above = await create('C');
    expect([above.status, above.body.code]).toEqual([403, 'rank-above-ceiling']);
    expect(above.body.detail).toMatch(/rank C.*ceiling.*D/);
    const { mission_id } = (await create('C', operator)).body;
    for (const verb of ['run', 'cancel'])
      expect((await program.post<Problem>(`${MISSIONS}/${mission_id}/${verb}`)).body.code).toBe('rank-above-ceiling');
    expect((await program.get<MissionDocument>(`${MISSIONS}/${mission_id}`)).body.status).toBe('accepted');
    const risky = { tasks: [{ ...echo.tasks[0], risk_level: 'A' }] };
    const raised = await program.post<Problem>(MISSIONS, { goal: 'Say it', plan: risky, rank: 'E' });
    expect(raised.body.code).toBe('rank-above-ceiling');
  });

  it('gets nothing from the operator key beside it', async () => {
    const program = clientWith((await issue(['missions:write'])).token);
    const answer = await program.post<Problem>(`${MISSIONS}/msn_none/run`, {}, program.sovereign);
    expect([answer.status, answer.body.code]).toEqual([403, 'session-required']);
  });

  it('is shown the events that its scopes show, until it is revoked', async () => {
    const contextsOf = (source: EventSource) =>
      new Set(source.events.filter(({ event }) => event === 'message').map(({ data }) => String(data['source'])));
    const opened = async (scope: Scope) => {
      const issued = await issue([scope]);
      const authorization = `Bearer ${issued.token}`;
      return { ...issued, source: await EventSource.open(`${operator.url}/v1/events`, { authorization }) };
    };
    const [missions, vault, admin] = [await opened('missions:read'), await opened('vault:read'), await opened('admin')];
    const path = import.meta.dirname;
    const body = { goal: 'Report', template: 'repository-report', params: { path } };
    const made = await operator.post<MissionDocument>(MISSIONS, body, { prefer: 'wait=60' });
    expect(made.body.status).toBe('completed');
    await issue(['admin']);
    for (const { source } of [missions, vault, admin]) await source.until((events) => events.length > 0);
    await missions.source.until((events) => events.some(({ data }) => /MissionCompleted/.test(String(data['type']))));
    expect([...contextsOf(vault.source)]).toEqual(['/nexusmon/vault']);
    expect([...contextsOf(admin.source)]).toEqual(['/nexusmon/access']);
    expect(contextsOf(missions.source)).toContain('/nexusmon/mission');
    for (const context of ['vault', 'access'])
      expect(contextsOf(missions.source)).not.toContain(`/nexusmon/${context}`);

    const revoked_at = Date.now();
    for (const { token_id } of [missions, vault, admin])
      expect((await operator.call('DELETE', `${TOKENS}/${token_id}`)).status).toBe(200);
    for (const { source, token } of [missions, vault, admin]) {
      await source.ended(5);
      expect(source.events.at(-1)).toMatchObject({ event: 'closed', data: { code: 'token-ended' } });
      expect((await clientWith(token).get<Problem>(MISSIONS)).body.code).toBe('token-ended');
    }
    expect(Date.now() - revoked_at).toBeLessThan(5_000);
  }, 90_000);
});

describe('a limit', () => {
  it('is kept by whoever has no credential, and named', async () => {
    const from = { 'x-forwarded-for': '10.8.0.1' };
    const answers = await Promise.all(Array.from({ length: 100 }, () => anyone.get<Problem>('/ready', from)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    for (const { headers, body } of refused) {
      expect([body.code, headers.get('retry-after')]).toEqual(['too-many-requests', '1']);
      expect(headers.get('ratelimit-policy')).toBe('"address";q=20;w=1');
    }
    const { token } = await issue(['missions:read']);
    const { headers } = await clientWith(token).get(MISSIONS, { 'x-forwarded-for': '10.8.0.2' });
    expect(headers.get('ratelimit-policy')).toBe('"credential";q=2000;w=1');
  });

  it('holds for event streams of one credential', async () => {
    const { token } = await issue(['missions:read']);
    const authorization = `Bearer ${token}`;
    const open = () => EventSource.open(`${operator.url}/v1/events`, { authorization });
    const sources = await Promise.all(Array.from({ length: 5 }, open));
    await expect(open()).rejects.toThrow(/429.*too-many-requests/);
    for (const source of sources) source.close();
  });
});

const login = (operator_key: string, address: string) =>
  anyone.post<Problem>('/v1/auth/login', { operator_key }, { 'x-forwarded-for': address });

/** What a locked-out caller is told, and for how long. */
const lockedFor = ({ status, headers, body }: Awaited<ReturnType<typeof login>>): number => {
  expect([status, body.code]).toEqual([429, 'locked-out']);
  return Number(headers.get('retry-after'));
};

describe('wrong operator keys', () => {
  const GUESSES = 40;

  it('that come together all count, whatever their addresses', async () => {
    const guesses = Array.from({ length: GUESSES }, (_, index) =>
      login(`nx_op_wrong-wrong-wrong-${index}`, `203.0.113.${index}`),
    );
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(1);
    expect(statuses.filter((status) => status === 429)).toHaveLength(GUESSES - 1);
  });

  it('lock the right key out too, wherever it comes from and travels', async () => {
    const seconds = lockedFor(await login(operator.operator_key, '198.51.100.7'));
    expect(seconds).toBeGreaterThan(HOUR - 60);
    const wrong: object[] = [];
    for (const route of Object.keys(POLICIES)) {
      const { status, code } = await probe(route, operator.sovereign);
      if (status !== 429 || code !== 'locked-out') wrong.push({ route, status, code });
    }
    expect(wrong).toEqual([]);
    // A session that is open stays open.
    expect((await operator.get(MISSIONS)).status).toBe(200);
  });

  it('are remembered when the process is killed', async () => {
    const { pids } = await product.run();
    process.kill(pids['standalone'] ?? 0, 'SIGKILL');
    let answer: Awaited<ReturnType<typeof login>> | undefined;
    await eventually(async () => {
      // While the process comes back nothing answers, or 503 does.
      const [tried] = await Promise.allSettled([login(operator.operator_key, '198.51.100.7')]);
      answer = tried.status === 'fulfilled' ? tried.value : undefined;
      return answer !== undefined && answer.status !== 503;
    }, 60);
    expect(answer && lockedFor(answer)).toBeGreaterThan(HOUR - 120);
  });

  it('stand in the log, each with its place and none with its address or key', async () => {
    const counts: Record<string, number> = {};
    for await (const message of messagesOf(product.data_dir, await product.run())) {
      expect(message).not.toMatch(/203\.0\.113\.|nx_op_/);
      const [line = ''] = message.split('\n');
      for (const { type, data } of JSON.parse(line) as { type: string; data: { scope: string } }[])
        if (type === 'nexusmon.access.AttemptRefused.v1') counts[data.scope] = (counts[data.scope] ?? 0) + 1;
    }
    expect(counts).toEqual({ address: GUESSES, account: GUESSES });
  });
});
