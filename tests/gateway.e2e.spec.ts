// The gateway's surface on the whole product: who may ask, what is refused, what repeats, what is streamed.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument } from '@nexusmon/vault-contract';
import { EventSource, type ServerEvent } from './support/event-source.js';

import { Client, isEnded, Product, type Problem } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const NO_MISSION = 'msn_01890000-0000-7000-8000-000000000000';

const echo = (task_id: string, depends_on: string[] = []) => ({
  task_id,
  worker: 'system.echo',
  input: { value: task_id },
  depends_on,
});
const one = { goal: 'Say it', plan: { tasks: [echo('one')] } };

let product: Product;
let operator: Client;
let anyone: Client;

beforeAll(async () => {
  product = await Product.start();
  operator = await product.operator();
  anyone = await product.anyone();
}, 300_000);
afterAll(() => product.remove(), 60_000);

const bearer = (client: Client) => ({ authorization: `Bearer ${client.token ?? ''}` });
const events = (query: string, headers: Record<string, string> = {}) =>
  EventSource.open(`${operator.url}/v1/events?${query}`, { ...bearer(operator), ...headers });
const namesOf = (list: readonly ServerEvent[]) => list.map(({ data }) => String(data['type']).split('.')[2]);
const run = async (body: object = one) => {
  const answer = await operator.post<MissionDocument>(MISSIONS, body, { prefer: 'wait=30' });
  expect(answer.status).toBe(200);
  return answer.body;
};

/** While a killed process comes back, nothing answers, or 503 does. */
const untilAnswered = async <Value>(work: () => Promise<Value>, seconds = 30): Promise<Value> => {
  const deadline = Date.now() + seconds * 1_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
};

describe('a session', () => {
  it.each([
    ['no key', undefined, 422],
    ['a number', 5, 422],
  ])('is not opened with %s', async (_, operator_key, status) => {
    const { body, ...answer } = await anyone.post<Problem>('/v1/auth/login', { operator_key });
    expect([answer.status, body.errors?.[0]?.path]).toEqual([status, 'operator_key']);
  });

  it('ends with its logout, at once, for its streams too', async () => {
    const session = await product.operator();
    const stream = await EventSource.open(`${session.url}/v1/events`, bearer(session));
    expect((await session.post<{ status: string }>('/v1/auth/logout')).body.status).toBe('ended');
    expect((await session.get<Problem>(MISSIONS)).body.code).toBe('session-ended');
    await stream.ended(5);
    expect(stream.events.at(-1)).toMatchObject({ event: 'closed', data: { code: 'session-ended' } });
  });

  it('is listed, and ended by another of the same account', async () => {
    const { operator_key } = operator;
    const login = await anyone.post<{ token: string }>('/v1/auth/login', { operator_key });
    const session = new Client(operator.url, login.body.token, operator_key);
    type Listed = Page<{ session_id: string; status: string }>;
    const { body } = await session.get<Listed>('/v1/auth/sessions?limit=1');
    const [newest] = body.data;
    expect(newest?.status).toBe('open');
    const revoked = await operator.call<{ status: string }>('DELETE', `/v1/auth/sessions/${newest?.session_id ?? ''}`);
    expect([revoked.status, revoked.body.status]).toEqual([200, 'ended']);
    expect((await session.get<Problem>(MISSIONS)).body.code).toBe('session-ended');
    const nobodys = await operator.call<Problem>(
      'DELETE',
      '/v1/auth/sessions/ses_01890000-0000-7000-8000-000000000000',
    );
    expect([nobodys.status, nobodys.body.code]).toEqual([404, 'session-not-found']);
  });

  it('is not where X-Forwarded-For says, since no proxy is trusted here', async () => {
    const session = await product.operator();
    for (const address of ['203.0.113.9', '127.0.0.1, 203.0.113.9', '::1', 'nonsense'])
      expect((await session.get(MISSIONS, { 'x-forwarded-for': address, forwarded: `for=${address}` })).status).toBe(
        200,
      );
  });

  it('ends when another client uses its token', async () => {
    const session = await product.operator();
    const stolen = await session.get<Problem>(MISSIONS, { 'user-agent': 'another' });
    expect([stolen.status, stolen.body.code]).toEqual([401, 'session-binding-mismatch']);
    expect((await session.get<Problem>(MISSIONS)).body.code).toBe('session-ended');
  });

  it('travels as a cookie too, and then writes only from our own origin', async () => {
    const login = await anyone.post('/v1/auth/login', { operator_key: operator.operator_key });
    const set = login.headers.get('set-cookie') ?? '';
    expect(set).toMatch(/HttpOnly/);
    expect(set).toMatch(/SameSite=Strict/);
    const cookie = set.split(';')[0] ?? '';
    expect((await anyone.get(MISSIONS, { cookie })).status).toBe(200);
    expect((await anyone.post<Problem>(MISSIONS, one, { cookie })).body.code).toBe('origin-refused');
    const foreign = await anyone.post<Problem>(MISSIONS, one, { cookie, origin: 'https://evil.example' });
    expect([foreign.status, foreign.body.code]).toEqual([403, 'origin-refused']);
    const held = await anyone.post(MISSIONS, { ...one, hold: true }, { cookie, origin: anyone.url });
    expect(held.status).toBe(201);
  });
});

describe('bad input', () => {
  const plan = (...tasks: object[]) => ({ goal: 'x', plan: { tasks } });
  const table: [string, string | object, number, string][] = [
    ['malformed JSON', '{"goal": ', 400, 'malformed-json'],
    ['no goal', {}, 422, 'schema-violated'],
    ['an empty goal', { goal: '' }, 422, 'schema-violated'],
    ['a goal of another type', { goal: 7 }, 422, 'schema-violated'],
    ['a goal of 4,001 characters', { goal: 'x'.repeat(4_001) }, 422, 'schema-violated'],
    ['an unknown field', { ...one, mission_id: NO_MISSION }, 422, 'schema-violated'],
    ['an unknown rank', { ...one, rank: 'Z' }, 422, 'schema-violated'],
    ['NUL in the goal', '{"goal": "a\\u0000b"}', 422, 'schema-violated'],
    ['a lone surrogate in params', '{"goal": "x", "params": {"a": "\\ud800"}}', 422, 'schema-violated'],
    ['__proto__ in params', '{"goal": "x", "params": {"__proto__": {"admin": true}}}', 422, 'schema-violated'],
    [
      '20,000 deep params',
      `{"goal": "x", "params": {"a": ${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
      422,
      'schema-violated',
    ],
    ['10 MB', `{"goal": "${'x'.repeat(10_000_000)}"}`, 413, 'body-too-large'],
    ['an unknown worker', plan({ task_id: 'a', worker: 'no.such' }), 422, 'plan-invalid'],
    ['a cycle', plan(echo('a', ['b']), echo('b', ['a'])), 422, 'plan-invalid'],
    ['a dependency on nothing', plan(echo('a', ['z'])), 422, 'plan-invalid'],
    ['a task twice', plan(echo('a'), echo('a')), 422, 'plan-invalid'],
    ['a bad task id', plan(echo('A B')), 422, 'schema-violated'],
    ['no tasks', plan(), 422, 'schema-violated'],
    [
      'more tasks than max_steps',
      { ...plan(echo('a'), echo('b')), constraints: { max_steps: 1 } },
      422,
      'plan-invalid',
    ],
    ['an unknown template', { goal: 'x', template: 'no-such' }, 422, 'plan-invalid'],
    ['a template without its parameter', { goal: 'x', template: 'repository-report' }, 422, 'plan-invalid'],
    [
      'a path outside the roots',
      { goal: 'x', template: 'repository-report', params: { path: '/etc' } },
      422,
      'path-outside-roots',
    ],
    ['a plan and a template', { ...one, template: 'repository-report' }, 422, 'schema-violated'],
  ];

  it('gets its status and names its place, and appends nothing', async () => {
    const stream = await events('');
    for (const [what, body, status, code] of table) {
      const answer = await operator.post<Problem>(MISSIONS, body);
      expect({ what, status: answer.status, code: answer.body.code }).toEqual({ what, status, code });
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      if (status === 422) expect(answer.body.errors?.[0]?.path).toEqual(expect.any(String));
    }
    const { mission_id } = await run();
    const seen = await stream.until((list) => namesOf(list).includes('MissionCompleted'));
    // A stage that an earlier mission has reached is told whenever evolution comes to it.
    const decided = seen.filter(({ data }) => !String(data['type']).startsWith('nexusmon.evolution.'));
    expect(decided.filter(({ data }) => data['correlationid'] !== mission_id)).toEqual([]);
    stream.close();
  });

  it.each(['/run', '/cancel', '/approve', '/tasks', '/events', ''])(
    'is 404 for a mission that is not there: %s',
    async (verb) => {
      const method = ['/run', '/cancel', '/approve'].includes(verb) ? 'POST' : 'GET';
      const answer = await operator.call<Problem>(
        method,
        `${MISSIONS}/${NO_MISSION}${verb}`,
        method === 'POST' ? {} : undefined,
      );
      expect([answer.status, answer.body.code]).toEqual([404, 'mission-not-found']);
    },
  );

  it.each(['cursor=nonsense', 'min_position=nonsense', 'limit=0', 'limit=x', 'colour=red', 'status=done'])(
    'is 422 in a query: %s',
    async (query) => {
      expect((await operator.get(`${MISSIONS}?${query}`)).status).toBe(422);
    },
  );
});

describe('an Idempotency-Key', () => {
  const key = () => ({ 'idempotency-key': `key-${crypto.randomUUID()}` });

  it('makes a repeat the same mission, as it is now', async () => {
    const headers = key();
    const first = await operator.post<MissionDocument>(MISSIONS, one, headers);
    const { mission_id } = first.body;
    await operator.until(mission_id, isEnded);
    const second = await operator.post<MissionDocument>(MISSIONS, one, headers);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toMatchObject({ mission_id, status: 'completed' });
  });

  it('names one mission, however many ask at once', async () => {
    const headers = key();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => operator.post<MissionDocument>(MISSIONS, one, headers)),
    );
    const made = answers.filter(({ status }) => status === 201);
    expect(new Set(made.map(({ body }) => body.mission_id)).size).toBe(1);
    for (const { status } of answers) expect([201, 409]).toContain(status);
  });

  it('with another body is refused', async () => {
    const headers = key();
    expect((await operator.post(MISSIONS, one, headers)).status).toBe(201);
    const other = await operator.post<Problem>(MISSIONS, { ...one, goal: 'Say something else' }, headers);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
  });

  it.each(['', 'a b', 'x'.repeat(256), 'é'])('is refused when it is none: %j', async (bad) => {
    const status = await new Promise<number | undefined>((done, fail) => {
      const { hostname, port } = new URL(operator.url);
      const request = httpRequest({ hostname, port, path: MISSIONS, method: 'POST' }, (response) => {
        response.resume();
        done(response.statusCode);
      });
      request.once('error', fail);
      const headers = { ...bearer(operator), 'user-agent': 'nexusmon-tests', 'content-type': 'application/json' };
      for (const [name, value] of Object.entries({ ...headers, 'idempotency-key': bad }))
        request.setHeader(name, value);
      request.end(JSON.stringify(one));
    });
    expect(status).toBe(400);
  });
});

describe('a wish to wait', () => {
  it('is granted with the finished mission, or with what there is', async () => {
    const done = await operator.post<MissionDocument>(MISSIONS, one, { prefer: 'wait=30' });
    expect([done.status, done.body.status]).toEqual([200, 'completed']);
    expect(done.headers.get('preference-applied')).toBe('wait=30');
    const held = await operator.post<MissionDocument>(MISSIONS, { ...one, hold: true }, { prefer: 'wait=0' });
    expect([held.status, held.body.status]).toEqual([202, 'accepted']);
    for (const { headers, body } of [done, held]) {
      expect(headers.get('location')).toBe(`${MISSIONS}/${body.mission_id}`);
      expect(headers.get('nexusmon-position')).toBeTruthy();
    }
  });

  it('for a change is told when there is none', async () => {
    const { mission_id } = await run();
    const first = await operator.get(`${MISSIONS}/${mission_id}`);
    const etag = first.headers.get('etag') ?? '';
    expect((await operator.get(`${MISSIONS}/${mission_id}`, { 'if-none-match': etag })).status).toBe(304);
    expect((await operator.get(`${MISSIONS}/${mission_id}`, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('is not needed to read one’s own writes, and lets others read them', async () => {
    const again = await product.operator(); // The same account in another session.
    const issued = await operator.post<{ token: string }>('/v1/auth/tokens', {
      name: 'a spec',
      scopes: ['missions:read'],
    });
    const other = new Client(operator.url, issued.body.token, '');
    for (let tries = 0; tries < 10; tries += 1) {
      const created = await operator.post<MissionDocument>(MISSIONS, { ...one, hold: true });
      const position = encodeURIComponent(created.headers.get('nexusmon-position') ?? '');
      for (const list of [
        await (tries % 2 === 0 ? operator : again).get<Page<MissionDocument>>(`${MISSIONS}?limit=1`),
        await other.get<Page<MissionDocument>>(`${MISSIONS}?limit=1&min_position=${position}`),
      ])
        expect(list.body.data[0]?.mission_id).toBe(created.body.mission_id);
    }
  });
});

describe('a list', () => {
  it('is walked by its cursor without a gap or a repeat, while others are added', async () => {
    for (let made = 0; made < 7; made += 1) await run();
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null && seen.length < 500) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await operator.get<Page<MissionDocument>>(`${MISSIONS}?limit=3${query}`);
      seen.push(...body.data.map(({ mission_id }) => mission_id));
      cursor = body.next_cursor;
      if (seen.length < 10) await run();
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(7);
  });
});

describe('the event stream', () => {
  it('tells what happens from now on, opened, in order', async () => {
    const stream = await events('');
    const { mission_id } = await run();
    const seen = await stream.until((list) => namesOf(list).includes('MissionCompleted'));
    stream.close();
    const mine = seen.filter(({ data }) => data['correlationid'] === mission_id);
    expect(namesOf(mine)[0]).toBe('MissionCreated');
    expect(mine[0]?.data).toMatchObject({
      ...{
        specversion: '1.0',
        source: '/nexusmon/mission',
        subject: mission_id,
        actor: expect.stringMatching(/^operator:/),
      },
      ...{ data: { goal: 'Say it' }, position: mine[0]?.id },
    });
    expect(JSON.stringify(seen)).not.toContain('$sealed');
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
  });

  it('resumes behind any event, without a gap or a repeat, and so does ?from', async () => {
    const { mission_id } = await run();
    const whole = await events(`from=start&mission_id=${mission_id}`);
    const all = [...(await whole.until((list) => namesOf(list).includes('MissionCompleted')))];
    whole.close();
    for (const [index, { id }] of all.entries()) {
      const rest = all.slice(index + 1);
      if (rest.length === 0) continue;
      for (const [query, headers] of [
        ['', { 'last-event-id': id }],
        [`&from=${encodeURIComponent(id)}`, {}],
      ] as const) {
        const resumed = await events(`mission_id=${mission_id}${query}`, headers);
        const seen = await resumed.until((list) => list.length >= rest.length);
        resumed.close();
        expect(seen.map((event) => event.id)).toEqual(rest.map((event) => event.id));
      }
    }
  }, 60_000);

  it('is the same seen live as read again, while missions run', async () => {
    const live = await events('');
    await live.until(() => live.last_event_id !== '');
    const begin = live.last_event_id;
    const made = await Promise.all(Array.from({ length: 12 }, () => run()));
    const ids = new Set(made.map(({ mission_id }) => mission_id));
    const isDone = (list: readonly ServerEvent[]) =>
      list.filter(({ data }) => String(data['type']).includes('MissionCompleted') && ids.has(String(data['subject'])))
        .length === ids.size;
    const seen = [...(await live.until(isDone))];
    live.close();
    const again = await events(`from=${encodeURIComponent(begin)}`);
    const read = await again.until((list) => list.length >= seen.length);
    again.close();
    expect(read.slice(0, seen.length).map(({ id }) => id)).toEqual(seen.map(({ id }) => id));
  }, 60_000);

  it('goes on over a gateway that was killed, without a gap or a repeat', async () => {
    const first = await events('');
    await first.until(() => first.last_event_id !== '');
    const begin = first.last_event_id;
    await run();
    const before = [...(await first.until((list) => namesOf(list).includes('MissionCompleted')))];
    const { standalone } = (await product.run()).pids;
    process.kill(standalone ?? 0, 'SIGKILL');
    await first.ended();
    const { mission_id } = await untilAnswered(() => run());
    const second = await events('', { 'last-event-id': first.last_event_id });
    const isMine = ({ data }: ServerEvent) => data['subject'] === mission_id;
    const after = [...(await second.until((list) => namesOf(list.filter(isMine)).includes('MissionCompleted')))];
    second.close();
    const seen = [...before, ...after].map(({ id }) => id);
    const again = await events(`from=${encodeURIComponent(begin)}`);
    const read = await again.until((list) => list.length >= seen.length);
    again.close();
    expect(read.slice(0, seen.length).map(({ id }) => id)).toEqual(seen);
  }, 60_000);

  it('shows only what was asked for', async () => {
    const { mission_id } = await run();
    const stream = await events(
      `from=start&type=MissionCreated,nexusmon.mission.MissionCompleted.v1&subject=${mission_id}`,
    );
    const seen = await stream.until((list) => list.length >= 2);
    stream.close();
    expect(namesOf(seen)).toEqual(['MissionCreated', 'MissionCompleted']);
  });

  it('says so when a position is of another log, and refuses what is no position', async () => {
    const stream = await events('', { 'last-event-id': '0.0123456789ab.5.0' });
    const [reset] = await stream.until((list) => list.length > 0);
    stream.close();
    expect(reset).toMatchObject({ event: 'reset' });
    expect((await operator.get('/v1/events?from=nonsense')).status).toBe(422);
  });

  it('of one mission is a list, or a stream', async () => {
    const { mission_id } = await run();
    const path = `${MISSIONS}/${mission_id}/events`;
    type Listed = Page<{ type: string; position: string }>;
    const { body } = await operator.get<Listed>(path);
    expect(body.data[0]?.type).toBe('nexusmon.mission.MissionCreated.v2');
    const walked: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await operator.get<Listed>(`${path}?limit=2${query}`);
      walked.push(...page.body.data.map(({ position }) => position));
      cursor = page.body.next_cursor;
    }
    expect(walked).toEqual(body.data.map(({ position }) => position));
    const stream = await EventSource.open(`${operator.url}${path}?from=start`, bearer(operator));
    expect((await stream.until((list) => list.length >= 3))[0]?.data['subject']).toBe(mission_id);
    stream.close();
  });
});

describe('an artifact', () => {
  it('is downloaded with its digest verified, once', async () => {
    await run({ goal: 'Report', template: 'repository-report', params: { path: import.meta.dirname } });
    const { body } = await operator.get<Page<ArtifactDocument>>('/v1/vault/artifacts?limit=1');
    const [artifact] = body.data;
    expect(artifact).toBeDefined();
    if (!artifact) return;
    const path = `/v1/vault/artifacts/${artifact.artifact_id}`;
    expect((await operator.get<ArtifactDocument>(path)).body).toEqual(artifact);
    const response = await fetch(`${operator.url}${path}/content`, {
      headers: { ...bearer(operator), 'user-agent': 'nexusmon-tests' },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(artifact.sha256);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-disposition')).toMatch(/^attachment/);
    const etag = response.headers.get('etag') ?? '';
    expect((await operator.get(`${path}/content`, { 'if-none-match': etag })).status).toBe(304);
  }, 90_000);

  it('that is not there is 404', async () => {
    const answer = await operator.get<Problem>('/v1/vault/artifacts/art_01890000-0000-7000-8000-000000000000/content');
    expect(answer.status).toBe(404);
  });
});

describe('the system', () => {
  it('says how it is', async () => {
    type Health = { status: string; checks: Record<string, { status: string }>; version: string };
    const ok = { status: 'ok' };
    const checked = async () => {
      const { body } = await operator.get<Health>('/v1/system/health');
      expect(body.checks).toMatchObject({ nats: ok, postgres: ok, vault: ok, missions: ok, workers: ok });
      return body;
    };
    // What it says may be a second old, and a second ago a killed process was coming back.
    const { status, version } = await untilAnswered(checked);
    // A busy machine may degrade the event loop, and nothing else.
    expect(['ok', 'degraded']).toContain(status);
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect((await anyone.get<string>('/ready')).body).toBe('yes\n');
  });

  it('says what it is', async () => {
    type Organism = { stage: string; count: number; xp: number; missions: Record<string, number> };
    const { body } = await operator.get<Organism>('/v1/nexusmon/organism/status');
    expect(body.missions['completed']).toBeGreaterThan(0);
    expect(body.stage).toMatch(/^[A-Z]+$/);
    const workers = await operator.get<Page<{ name: string }>>('/v1/workers');
    expect(workers.body.data.map(({ name }) => name)).toContain('repository.survey');
    const templates = await operator.get<Page<{ name: string }>>('/v1/system/templates');
    expect(templates.body.data.map(({ name }) => name)).toContain('repository-report');
  });
});
