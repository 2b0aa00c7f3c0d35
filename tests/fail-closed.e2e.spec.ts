// Without governance nothing starts, without the vault nothing is finished that needs it, and both are waited for: it
// is nobody's failure and uses no try.

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument, TaskDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import { isEnded, Product, type Client, type Problem } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const MODULE = join(import.meta.dirname, 'support/hostile-workers.mjs');
/** An answer must come within this, whatever does not answer behind it. */
const ANSWER_MS_MAX = 12_000;

const once = { max_attempts: 1, backoff_seconds: 0 };
const sleep = (task_id: string, seconds: number, depends_on: string[] = []) => ({
  task_id,
  worker: 'hostile.sleeps',
  input: { seconds },
  depends_on,
  retry: once,
});
const echo = (task_id: string, depends_on: string[] = []) => ({
  task_id,
  worker: 'system.echo',
  input: { value: task_id },
  depends_on,
  retry: once,
});
const big = { task_id: 'big', worker: 'hostile.returns_200kib', retry: once };
const measure = (depends_on: string[]) => ({
  task_id: 'measure',
  worker: 'hostile.measures',
  input: { text: { $output: 'big', pointer: '/text' } },
  depends_on,
  retry: once,
});

const taskOf = (mission: MissionDocument, task_id: string): TaskDocument => {
  const task = mission.tasks.find((each) => each.task_id === task_id);
  if (!task) throw new Error(`no task ${task_id}`);
  return task;
};
const isRunning = (task_id: string) => (mission: MissionDocument) => taskOf(mission, task_id).status === 'running';
const isDone = (task_id: string) => (mission: MissionDocument) => taskOf(mission, task_id).status === 'completed';

describe('while a service does not answer', () => {
  let product: Product;
  let operator: Client;
  const stopped = new Set<number>();

  const signal = async (service: string, name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => {
    const pid = (await product.run()).pids[service];
    if (pid === undefined) throw new Error(`no pid of ${service}`);
    process.kill(pid, name);
    if (name === 'SIGSTOP') stopped.add(pid);
    else stopped.delete(pid);
  };
  const create = async (...tasks: object[]): Promise<MissionDocument> => {
    const answer = await operator.post<MissionDocument>(MISSIONS, { goal: 'Wait for it', plan: { tasks } });
    expect([answer.status, answer.body.error]).toEqual([201, undefined]);
    return answer.body;
  };
  const refusedCreate = async () => {
    const started_ms = performance.now();
    const body = { goal: 'Never start', tags: ['refused'], plan: { tasks: [echo('one')] } };
    const answer = await operator.post<Problem>(MISSIONS, body);
    expect(performance.now() - started_ms).toBeLessThan(ANSWER_MS_MAX);
    return answer;
  };
  /** Looks on for a while: what must not happen does not. */
  const remains = async (mission_id: string, expected: object, seconds = 1) => {
    for (let tries = 0; tries < seconds * 4; tries++) {
      expect(await operator.mission(mission_id)).toMatchObject(expected);
      await new Promise((wake) => setTimeout(wake, 250));
    }
  };
  const completed = async (mission_id: string, seconds = 60) => {
    const mission = await operator.until(mission_id, isEnded, seconds);
    expect([mission.status, mission.error]).toEqual(['completed', undefined]);
    expect(mission.tasks.map(({ task_id, tries }) => [task_id, tries])).toEqual(
      mission.tasks.map(({ task_id }) => [task_id, 0]),
    );
    return mission;
  };

  beforeAll(async () => {
    product = await Product.start({ args: ['--separate'], env: { NEXUSMON_WORKER_MODULES: MODULE } });
    operator = await product.operator();
    const known = async () => {
      const { body } = await operator.get<Page<{ name: string }>>('/v1/workers');
      return body.data.some(({ name }) => name === 'hostile.sleeps');
    };
    for (let tries = 0; !(await known()) && tries < 300; tries++) await new Promise((wake) => setTimeout(wake, 100));
  }, 300_000);
  afterEach(() => {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    stopped.clear();
  });
  afterAll(() => product.remove(), 60_000);

  it('governance: nothing new starts, what runs finishes, and all goes on when it is back', async () => {
    const alone = await create(sleep('long', 2));
    const followed = await create(sleep('long', 2), echo('next', ['long']));
    await operator.until(alone.mission_id, isRunning('long'));
    await operator.until(followed.mission_id, isRunning('long'));
    const held = await operator.post<MissionDocument>(MISSIONS, {
      goal: 'Wait',
      hold: true,
      plan: { tasks: [echo('one')] },
    });

    await signal('governance-service', 'SIGSTOP');
    expect(await refusedCreate()).toMatchObject({ status: 503, body: { code: expect.any(String), status: 503 } });
    const run = await operator.post<Problem>(`${MISSIONS}/${held.body.mission_id}/run`);
    expect(run.status).toBe(503);
    expect((await completed(alone.mission_id)).tasks).toMatchObject([{ attempt: 1 }]);
    await operator.until(followed.mission_id, isDone('long'));
    await remains(followed.mission_id, { status: 'running', tasks: [{}, { status: 'ready', attempt: 0, tries: 0 }] });
    expect((await operator.mission(held.body.mission_id)).status).toBe('accepted');

    await signal('governance-service', 'SIGCONT');
    expect((await completed(followed.mission_id)).tasks).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
    const { mission_id } = await create(echo('one'));
    await completed(mission_id);
    // What was refused left nothing behind.
    const { body } = await operator.get<Page<MissionDocument>>(`${MISSIONS}?limit=200`);
    expect(body.data.filter(({ tags }) => tags.includes('refused'))).toEqual([]);
  });

  it('governance, killed: what was ready starts when it is back', async () => {
    const { mission_id } = await create(sleep('long', 1), echo('next', ['long']));
    await operator.until(mission_id, isRunning('long'));
    await signal('governance-service', 'SIGKILL');
    expect((await completed(mission_id)).tasks).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
  });

  it('the vault: a large output waits for it in its attempt, and other missions go on', async () => {
    await signal('vault-service', 'SIGSTOP');
    const { mission_id } = await create(big, measure(['big']));
    await operator.until(mission_id, isRunning('big'));
    await completed((await create(echo('one'), echo('two', ['one']))).mission_id);
    await remains(mission_id, { status: 'running', tasks: [{ status: 'running', attempt: 1, tries: 0 }, {}] });
    await signal('vault-service', 'SIGCONT');
    expect((await completed(mission_id)).tasks).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
  });

  it('the vault, killed: the same', async () => {
    await signal('vault-service', 'SIGKILL');
    const { mission_id } = await create(big, measure(['big']));
    expect((await completed(mission_id)).tasks).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
  });

  it.each(['vault-service', 'minio'])(
    '%s: for longer than an attempt may take, the task is claimed again',
    async (service) => {
      await signal(service, 'SIGSTOP');
      const { mission_id } = await create({ ...big, timeout_seconds: 2 });
      const again = (mission: MissionDocument) => taskOf(mission, 'big').attempt >= 2;
      expect(taskOf(await operator.until(mission_id, again), 'big')).toMatchObject({ tries: 0 });
      await signal(service, 'SIGCONT');
      const [task] = (await completed(mission_id)).tasks;
      expect(task?.attempt).toBeGreaterThanOrEqual(2);
    },
  );

  it('the vault: a mission whose inputs lie there waits for it, and a new one of that kind is refused', async () => {
    const text = 'x'.repeat(100_000);
    const large = { goal: 'Wait for it', plan: { tasks: [{ ...echo('one'), input: { value: text } }] } };
    const held = await operator.post<MissionDocument>(MISSIONS, { ...large, hold: true });
    expect(held.status).toBe(201);
    const { mission_id } = held.body;
    // So many others that what was cached of the first one is not any more.
    for (let others = 0; others < 8; others++) {
      const input = { value: `${others}`.padEnd(1_000_000, 'y') };
      const other = { goal: 'Push out', hold: true, plan: { tasks: [{ ...echo('one'), input }] } };
      expect((await operator.post(MISSIONS, other)).status).toBe(201);
    }
    await signal('vault-service', 'SIGSTOP');
    const run = await operator.post<MissionDocument>(`${MISSIONS}/${mission_id}/run`);
    expect(run).toMatchObject({ status: 200, body: { enclosure: { status: 'unavailable' } } });
    expect(await operator.post<Problem>(MISSIONS, { ...large, tags: ['refused'] })).toMatchObject({ status: 503 });
    expect(await operator.mission(mission_id)).toMatchObject({ tasks: [{ status: 'ready', attempt: 0, tries: 0 }] });
    await signal('vault-service', 'SIGCONT');
    expect((await completed(mission_id)).tasks).toMatchObject([{ attempt: 1, input: { value: text } }]);
    const { body } = await operator.get<Page<MissionDocument>>(`${MISSIONS}?limit=200`);
    expect(body.data.filter(({ tags }) => tags.includes('refused'))).toEqual([]);
  });

  it('the vault: a task that needs an earlier large output waits, and is not refused', async () => {
    const { mission_id } = await create(big, sleep('long', 2, ['big']), measure(['big', 'long']));
    await operator.until(mission_id, isRunning('long'));
    await signal('vault-service', 'SIGSTOP');
    await operator.until(mission_id, isDone('long'));
    await remains(mission_id, { status: 'running', tasks: [{}, {}, { status: 'ready', attempt: 0, tries: 0 }] });
    await completed((await create(echo('one'))).mission_id);
    await signal('vault-service', 'SIGCONT');
    const mission = await completed(mission_id);
    expect(taskOf(mission, 'measure')).toMatchObject({ attempt: 1, output: { length: 200 * 1024 } });
  });
});
