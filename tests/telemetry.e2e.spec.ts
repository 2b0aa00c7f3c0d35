// What the product says of itself: one trace per mission, figures that are right, and logs and a store without secrets.

import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument } from '@nexusmon/vault-contract';
import { commitsOf, messagesOf } from './support/folds.js';
import { Metrics } from './support/metrics.js';
import { OtlpReceiver, type ReceivedSpan } from './support/otlp-receiver.js';
import { isEnded, Product, type Client } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const MODULE = join(import.meta.dirname, 'support/hostile-workers.mjs');
const SERVICES = ['gateway', 'mission-service', 'governance-service', 'worker-runner', 'vault-service'];
const PROCESSES = [...SERVICES, 'evolution-service'];

const canary = (what: string) => `canary-${what}-${randomBytes(12).toString('hex')}`;
const GOAL = canary('goal');
const INPUT = canary('input');
const REASON = canary('reason');
const WRONG_KEY = canary('wrong-key');
const SECRET_LENGTH_MIN = 20;
/** Not sealed: shows that what is searched can be found. */
const TAG = canary('tag');

const newTrace = () => {
  const trace_id = randomBytes(16).toString('hex');
  return { trace_id, header: { traceparent: `00-${trace_id}-${randomBytes(8).toString('hex')}-01` } };
};

const echo = { task_id: 'one', worker: 'system.echo', input: { value: INPUT } };

let workspace: string;
let receiver: OtlpReceiver;
let product: Product;
let operator: Client;

beforeAll(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'nexusmon-telemetry-'));
  await mkdir(join(workspace, 'src'));
  await writeFile(join(workspace, 'README.md'), '# A small folder\n\nTODO: grow.\n');
  await writeFile(join(workspace, 'src/main.py'), 'print("hello")\n');
  receiver = await OtlpReceiver.start();
  product = await Product.start({
    args: ['--separate'],
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      NEXUSMON_ALLOWED_PATHS: workspace,
      NEXUSMON_WORKER_MODULES: MODULE,
      LOG_LEVEL: 'debug',
    },
  });
  operator = await product.operator();
  await eventually(async () => {
    const { body } = await operator.get<Page<{ name: string }>>('/v1/workers');
    expect(body.data.map(({ name }) => name)).toContain('hostile.fails_twice');
  });
}, 300_000);

afterAll(async () => {
  await product.remove();
  await receiver.close();
  await rm(workspace, { recursive: true });
}, 60_000);

/** Tries until it does not throw: figures and views come a moment after what they tell of. */
const eventually = async (check: () => Promise<void>, seconds = 30): Promise<void> => {
  const deadline = Date.now() + seconds * 1_000;
  for (;;)
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((wake) => setTimeout(wake, 100));
    }
};

const create = async (body: object, headers?: Record<string, string>): Promise<MissionDocument> => {
  const answer = await operator.post<MissionDocument>(MISSIONS, { goal: GOAL, tags: [TAG], ...body }, headers);
  expect([answer.status, answer.body.error]).toEqual([201, undefined]);
  return answer.body;
};
const ended = (mission_id: string) => operator.until(mission_id, isEnded);
const metricsOf = async (service: string) => Metrics.of((await product.run()).ops_urls[service] ?? '');

const eventsOf = async (mission_id: string) => {
  const found: { type: string; trace_id: string | undefined }[] = [];
  for await (const events of commitsOf(product.data_dir, await product.run()))
    for (const { type, correlationid, traceparent } of events)
      if (correlationid === mission_id) found.push({ type, trace_id: traceparent?.split('-')[1] });
  return found;
};

describe('a mission is one trace', () => {
  const report = { template: 'repository-report', params: { path: '' } };
  const runReport = async () => {
    const trace = newTrace();
    const { mission_id } = await create({ ...report, params: { path: workspace } }, trace.header);
    return { ...trace, mission_id };
  };
  const recorded = (spans: readonly ReceivedSpan[], trace_id: string) =>
    spans.filter((span) => span.trace_id === trace_id && span.name === 'cmd.vault.record');

  /** Spans of one mission are all in its trace, from every service, and hang together. */
  const checkSpans = async ({ mission_id, trace_id }: { mission_id: string; trace_id: string }) => {
    const { body } = await operator.get<Page<ArtifactDocument>>(`/v1/vault/artifacts?mission_id=${mission_id}`);
    expect(body.data.length).toBeGreaterThan(0);
    const spans = await receiver.until(
      (came) =>
        recorded(came, trace_id).length >= body.data.length &&
        SERVICES.every((service) => came.some((span) => span.trace_id === trace_id && span.service === service)),
    );
    expect(recorded(spans, trace_id)).toHaveLength(body.data.length);
    const tasks = spans.filter(({ trace_id: of, name }) => of === trace_id && name.startsWith('task '));
    expect(tasks.map(({ name }) => name).sort()).toEqual([
      'task report.compose',
      'task report.verify',
      'task repository.survey',
    ]);
    const others = spans.filter((span) => span.attributes['mission_id'] === mission_id && span.trace_id !== trace_id);
    expect(others).toEqual([]);
    expect(receiver.faults).toEqual([]);
  };

  const checkEvents = async ({ mission_id, trace_id }: { mission_id: string; trace_id: string }) => {
    const events = await eventsOf(mission_id);
    expect(events.map(({ type }) => type.split('.')[2])).toEqual(
      expect.arrayContaining(['MissionCreated', 'TaskClaimed', 'TaskCompleted', 'MissionCompleted']),
    );
    expect(events.filter((event) => event.trace_id !== trace_id)).toEqual([]);
  };

  it('over all services and in the log', async () => {
    const mission = await runReport();
    expect(await ended(mission.mission_id)).toMatchObject({ status: 'completed' });
    await checkSpans(mission);
    await checkEvents(mission);
    const parents = new Set(receiver.spans.map(({ span_id }) => span_id));
    const orphans = receiver.spans.filter(
      ({ trace_id, parent_id, service }) =>
        trace_id === mission.trace_id && service !== 'gateway' && !parents.has(parent_id),
    );
    expect(orphans).toEqual([]);
  });

  it('also when several run at once on the same threads', async () => {
    const missions = await Promise.all([runReport(), runReport(), runReport()]);
    for (const mission of missions) {
      expect(await ended(mission.mission_id)).toMatchObject({ status: 'completed' });
      await checkSpans(mission);
      await checkEvents(mission);
    }
  });

  it('also when somebody else moves it, and after the service forgot everything', async () => {
    const trace = newTrace();
    const { mission_id } = await create({ plan: { tasks: [echo] }, rank: 'A' }, trace.header);
    const { pids } = await product.run();
    process.kill(pids['mission-service'] ?? NaN, 'SIGKILL');
    await eventually(async () =>
      expect((await product.run()).pids['mission-service']).not.toBe(pids['mission-service']),
    );
    await eventually(async () => {
      const headers = { ...operator.sovereign, ...newTrace().header };
      const { status } = await operator.post(`${MISSIONS}/${mission_id}/approve`, { reason: REASON }, headers);
      expect(status).toBe(200);
    });
    expect(await ended(mission_id)).toMatchObject({ status: 'completed' });
    const events = await eventsOf(mission_id);
    expect(events.map(({ type }) => type.split('.')[2])).toContain('ApprovalGranted');
    expect(events.filter((event) => event.trace_id !== trace.trace_id)).toEqual([]);
  });
});

describe('the figures', () => {
  const sums = async (service: string, wanted: readonly (readonly [string, Record<string, string>?])[]) => {
    const metrics = await metricsOf(service);
    return wanted.map(([name, labels]) => metrics.sum(name, labels) ?? 0);
  };
  const MISSION_FIGURES = [
    ['nexusmon_missions_created_total', { category: 'library', rank: 'E' }],
    ['nexusmon_missions_created_total', { category: 'coin', rank: 'A' }],
    ['nexusmon_missions_completed_total', { outcome: 'completed' }],
    ['nexusmon_missions_completed_total', { outcome: 'failed' }],
    ['nexusmon_missions_completed_total', { outcome: 'cancelled' }],
    ['nexusmon_mission_duration_seconds_count'],
    ['nexusmon_task_retries_total', { reason: 'worker_failed' }],
  ] as const;
  const APPROVAL_FIGURES = [
    ['nexusmon_approvals_pending', { rank: 'A' }],
    ['nexusmon_approval_decisions_total', { decision: 'granted' }],
    ['nexusmon_approval_decisions_total', { decision: 'denied' }],
  ] as const;
  const RUNNER_FIGURES = [
    ['nexusmon_tasks_total', { worker: 'system.echo', outcome: 'completed' }],
    ['nexusmon_tasks_total', { worker: 'hostile.fails_twice', outcome: 'worker_failed' }],
    ['nexusmon_tasks_total', { worker: 'hostile.fails_twice', outcome: 'completed' }],
    ['nexusmon_task_duration_seconds_count', { worker: 'system.echo' }],
  ] as const;
  const all = async () => ({
    missions: await sums('mission-service', MISSION_FIGURES),
    approvals: await sums('governance-service', APPROVAL_FIGURES),
    tasks: await sums('worker-runner', RUNNER_FIGURES),
  });
  const grown = (before: readonly number[], by: readonly number[]) =>
    before.map((value, index) => value + (by[index] ?? 0));
  const fails = {
    task_id: 'bad',
    worker: 'hostile.throws_its_input',
    input: { text: INPUT },
    retry: { max_attempts: 1 },
  };
  const flaky = {
    task_id: 'flaky',
    worker: 'hostile.fails_twice',
    retry: { max_attempts: 3, backoff_seconds: 0.1 },
  };
  const high = { category: 'coin', rank: 'A', plan: { tasks: [echo] } };
  let waiting: MissionDocument;

  it('are there for every process', async () => {
    const { ops_urls } = await product.run();
    expect(Object.keys(ops_urls).sort()).toEqual([...PROCESSES].sort());
    for (const service of PROCESSES) {
      const metrics = await metricsOf(service);
      for (const name of ['resident_memory_bytes', 'heap_bytes', 'cpu_seconds', 'uptime_seconds'])
        expect([service, name, metrics.sum(`nexusmon_process_${name}`)]).toEqual([service, name, expect.any(Number)]);
      expect(metrics.sum('nexusmon_process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    }
  });

  it('count missions, tasks, retries and decisions, each once', async () => {
    const before = await all();
    const key = { 'idempotency-key': canary('key') };
    const plain = { category: 'library', plan: { tasks: [echo] } };
    const created = await create(plain, key);
    expect((await create(plain, key)).mission_id).toBe(created.mission_id);
    const [failing, retried, granted, denied] = await Promise.all([
      create({ category: 'library', plan: { tasks: [fails] } }),
      create({ category: 'library', plan: { tasks: [flaky] } }),
      create(high),
      create(high),
    ]);
    waiting = await create(high);
    await operator.post(`${MISSIONS}/${granted.mission_id}/approve`, { reason: REASON }, operator.sovereign);
    await operator.post(`${MISSIONS}/${denied.mission_id}/deny`, { reason: REASON });
    for (const { mission_id } of [created, failing, retried, granted, denied]) await ended(mission_id);
    await eventually(async () =>
      expect(await all()).toEqual({
        missions: grown(before.missions, [3, 3, 3, 1, 1, 5, 2]),
        approvals: grown(before.approvals, [1, 1, 1]),
        tasks: grown(before.tasks, [2, 2, 1, 2]),
      }),
    );
  });

  it('count the bytes of artifacts as the vault lists them', async () => {
    const { body } = await operator.get<Page<ArtifactDocument>>('/v1/vault/artifacts?limit=200');
    expect(body.next_cursor).toBeNull();
    const bytes = body.data.reduce((sum, { size }) => sum + size, 0);
    const counts = await sums('vault-service', [['nexusmon_artifacts_bytes_total'], ['nexusmon_artifacts_total']]);
    expect(counts).toEqual([bytes, body.data.length]);
  });

  it('say how far every projection is behind', async () => {
    const projections = [
      ['mission-service', 'mission.mission'],
      ['governance-service', 'governance.approval'],
      ['vault-service', 'vault.artifact'],
    ] as const;
    for (const [service, projection] of projections)
      await eventually(async () =>
        expect((await metricsOf(service)).sum('nexusmon_projection_lag', { projection })).toBe(0),
      );
  });

  it('begin again with their process, but what waits is still known to wait', async () => {
    const { pids } = await product.run();
    for (const service of ['mission-service', 'governance-service']) process.kill(pids[service] ?? NaN, 'SIGKILL');
    const zero = (figures: readonly unknown[]) => figures.map(() => 0);
    await eventually(async () => {
      const { missions, approvals } = await all();
      expect(missions).toEqual(zero(MISSION_FIGURES));
      expect(approvals).toEqual([1, 0, 0]);
    });
    await eventually(async () => {
      const { status } = await operator.post(`${MISSIONS}/${waiting.mission_id}/deny`, { reason: REASON });
      expect(status).toBe(200);
    });
    await eventually(async () => {
      const { missions, approvals } = await all();
      expect(missions).toEqual([0, 0, 0, 0, 1, 1, 0]);
      expect(approvals).toEqual([0, 0, 1]);
    });
  });
});

describe('nothing of a secret', () => {
  const filesUnder = async (folder: string): Promise<{ path: string; bytes: Buffer }[]> => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Promise.all(files.map(async (path) => ({ path, bytes: await readFile(path) })));
  };
  /** Names only: a failure must not print what it is about. */
  const findings = (files: readonly { path: string; bytes: Buffer }[], secrets: ReadonlyMap<string, string>) =>
    files.flatMap(({ path, bytes }) =>
      [...secrets].filter(([, secret]) => bytes.includes(secret)).map(([name]) => `${name} in ${path}`),
    );
  const texts = new Map([
    ['the goal', GOAL],
    ['an input', INPUT],
    ['a reason', REASON],
  ]);

  const secretsOfTheFolder = async (): Promise<Map<string, string>> => {
    const found = new Map<string, string>();
    const { operator_key_file } = await product.run();
    found.set('the operator key', (await readFile(operator_key_file, 'utf8')).trim());
    found.set('the master secret', (await readFile(join(product.data_dir, 'master.secret'), 'utf8')).trim());
    for (const name of await readdir(join(product.data_dir, 'secrets'))) {
      const text = (await readFile(join(product.data_dir, 'secrets', name), 'utf8')).trim();
      const fields = name.endsWith('.json') ? Object.entries(JSON.parse(text) as object) : [['', text]];
      for (const [field, value] of fields as [string, unknown][])
        if (typeof value === 'string' && value.length >= SECRET_LENGTH_MIN && !/public/.test(field))
          found.set(`${name} ${field}`, value);
    }
    return found;
  };

  it('is written to a log, whatever is asked with it', async () => {
    const anyone = await product.anyone();
    const secrets = await secretsOfTheFolder();
    expect(secrets.size).toBeGreaterThan(8);
    const { headers, body } = await anyone.post<{ token: string }>('/v1/auth/login', {
      operator_key: secrets.get('the operator key'),
    });
    const cookie = (headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
    const keyed = { operator_key: secrets.get('the operator key'), goal: GOAL, category: 'library' };
    const held = await anyone.post<MissionDocument>('/v1/missions/create', {
      ...keyed,
      plan: { tasks: [echo] },
      hold: true,
    });
    expect(held.status).toBe(201);
    const { mission_id } = held.body;
    expect((await anyone.post('/v1/missions/run', { ...keyed, mission_id })).status).toBe(422);
    expect((await anyone.post('/v1/auth/login', { operator_key: WRONG_KEY })).status).toBe(401);
    expect((await anyone.post('/v1/missions/run', { operator_key: WRONG_KEY, mission_id })).status).toBe(429);
    await anyone.get(MISSIONS, { authorization: `Bearer ${WRONG_KEY}`, cookie: `nexusmon=${WRONG_KEY}` });
    await operator.get(MISSIONS, { 'x-operator-key': WRONG_KEY, cookie });
    await operator.get(`${MISSIONS}?token=${WRONG_KEY}`);
    await operator.post(
      `${MISSIONS}/${'msn_0190b6c1-0000-7000-8000-000000000009'}/approve`,
      { reason: REASON },
      {
        'x-operator-key': WRONG_KEY,
      },
    );
    await operator.post(MISSIONS, `{"goal": "${GOAL}", "plan": `);
    await operator.post(MISSIONS, {
      goal: GOAL,
      plan: { tasks: [{ task_id: 'one', worker: 'no.such', input: INPUT }] },
    });

    const told = new Map([...secrets, ...texts, ['a wrong key', WRONG_KEY]]);
    told.set('a session', operator.token ?? '').set('another session', body.token);
    if (cookie.includes('=')) told.set('a cookie', cookie.slice(cookie.indexOf('=') + 1));
    expect([...told.values()].every((secret) => secret.length >= SECRET_LENGTH_MIN)).toBe(true);
    const logs = await eventuallyLogged();
    expect(findings(logs, told)).toEqual([]);
  });

  /** Once the lines of the last requests are written. */
  const eventuallyLogged = async () => {
    const request_id = canary('request');
    await operator.get('/v1/health', { 'x-request-id': request_id });
    let logs: { path: string; bytes: Buffer }[] = [];
    await eventually(async () => {
      logs = await filesUnder(join(product.data_dir, 'logs'));
      expect(logs.some(({ bytes }) => bytes.includes(request_id))).toBe(true);
    });
    return logs;
  };

  it('is in the log of events: sealed fields are ciphertext, on the wire and on the disk', async () => {
    const store = await filesUnder(join(product.data_dir, 'nats'));
    expect(findings(store, new Map([['a tag', TAG]])).length).toBeGreaterThan(0);
    expect(findings(store, texts)).toEqual([]);
    const messages: { path: string; bytes: Buffer }[] = [];
    for await (const message of messagesOf(product.data_dir, await product.run()))
      messages.push({ path: `message ${messages.length}`, bytes: Buffer.from(message) });
    expect(findings(messages, new Map([['a tag', TAG]])).length).toBeGreaterThan(0);
    expect(findings(messages, texts)).toEqual([]);
  });
});
