// Workers that throw, hang, lie, eat memory and end their thread, and a runner that is killed: each task ends as it
// should, and nothing else notices.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument, TaskDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import { isEnded, Product, type Client, type Problem } from './support/product.js';

const MISSIONS = '/v1/engine/missions';
const MODULE = join(import.meta.dirname, 'support/hostile-workers.mjs');
/** Small, so that a worker that wants everything comes to its end soon. */
const HEAP_MB = '96';
const BIG = 200 * 1024;

type Event = Readonly<{ type: string; data: Record<string, unknown> }>;
type Told = Readonly<{ worker: string; code: string; tries: number; message?: RegExp; task?: object }>;

const once = { max_attempts: 1, backoff_seconds: 0 };
const twice = { max_attempts: 2, backoff_seconds: 1 };

/** `tries` at the end: what could help is tried as often as allowed, what cannot is tried once. */
const TOLD: readonly Told[] = [
  { worker: 'throws', code: 'worker_failed', tries: 2, message: /as it always does/ },
  { worker: 'throws_text', code: 'worker_failed', tries: 2, message: /"just text"/ },
  { worker: 'throws_nul', code: 'worker_failed', tries: 2, message: /^before \uFFFD after$/ },
  { worker: 'throws_for_good', code: 'worker_failed', tries: 1, message: /no use to try again/ },
  { worker: 'hangs', code: 'worker_timed_out', tries: 1, task: { timeout_seconds: 1, retry: once } },
  { worker: 'loops', code: 'worker_timed_out', tries: 1, task: { timeout_seconds: 1, retry: once } },
  { worker: 'returns_nothing', code: 'output_invalid', tries: 1 },
  { worker: 'returns_function', code: 'output_invalid', tries: 1, message: /\/run .*function/ },
  { worker: 'returns_other', code: 'output_invalid', tries: 1, message: /\/count/ },
  { worker: 'returns_bigint', code: 'output_invalid', tries: 1, message: /\/count .*bigint/ },
  { worker: 'returns_cycle', code: 'output_invalid', tries: 1, message: /deeper/ },
  { worker: 'returns_nul', code: 'output_invalid', tries: 1, message: /\/text .*U\+0000/ },
  { worker: 'returns_10mb', code: 'output_too_large', tries: 1, message: /1048576|artifact/ },
  { worker: 'exits', code: 'worker_failed', tries: 2, message: /did not survive/ },
  { worker: 'allocates_objects', code: 'worker_failed', tries: 1, message: /did not survive/, task: { retry: once } },
  { worker: 'allocates_buffers', code: 'worker_failed', tries: 1, message: /did not survive/, task: { retry: once } },
];

const taskOf = (mission: MissionDocument, task_id: string): TaskDocument => {
  const task = mission.tasks.find((each) => each.task_id === task_id);
  if (!task) throw new Error(`no task ${task_id}`);
  return task;
};

describe('a worker', () => {
  const asked = new Map<string, string>();
  let product: Product;
  let operator: Client;

  const create = async (tasks: object[]): Promise<MissionDocument> => {
    const body = { goal: 'See what happens', plan: { tasks } };
    const answer = await operator.post<MissionDocument & Partial<Omit<Problem, 'status'>>>(MISSIONS, body);
    expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
    return answer.body;
  };
  const eventsOf = async (mission_id: string): Promise<readonly Event[]> => {
    const { body } = await operator.get<Page<Event>>(`${MISSIONS}/${mission_id}/events?limit=200`);
    return body.data;
  };
  const named = (events: readonly Event[], name: string) =>
    events.filter(({ type }) => type.split('.')[2] === name).map(({ data }) => data);

  beforeAll(async () => {
    product = await Product.start({
      args: ['--separate'],
      env: { NEXUSMON_WORKER_MODULES: MODULE, NEXUSMON_WORKER_HEAP_MB: HEAP_MB },
    });
    operator = await product.operator();
    // A runner tells of its workers when it first asks for work.
    const known = async () => {
      const { body } = await operator.get<Page<{ name: string }>>('/v1/workers');
      return body.data.some(({ name }) => name === 'hostile.throws');
    };
    for (let tries = 0; !(await known()) && tries < 300; tries++) await new Promise((wake) => setTimeout(wake, 100));
    for (const { worker, task } of TOLD) {
      const plan = { task_id: 'bad', worker: `hostile.${worker}`, retry: twice, ...task };
      asked.set(worker, (await create([plan])).mission_id);
    }
  }, 300_000);
  afterAll(() => product.remove(), 60_000);

  it.each(TOLD)('that $worker fails its mission with $code after $tries', async ({ worker, code, tries, message }) => {
    const mission_id = asked.get(worker) ?? '';
    const mission = await operator.until(mission_id, isEnded);
    const task = taskOf(mission, 'bad');
    expect(mission).toMatchObject({ status: 'failed', error: { code: 'task_failed', task_id: 'bad' } });
    expect(task).toMatchObject({ status: 'failed', error: { code }, tries });
    expect(mission.error?.message).toBe(task.error?.message);
    expect(task.error?.message).toMatch(message ?? /./);

    const events = await eventsOf(mission_id);
    expect(named(events, 'TaskDeadLettered')).toMatchObject([{ task_id: 'bad', tries, code }]);
    const failures = named(events, 'TaskFailed');
    expect(failures.map((failure) => failure['code'])).toEqual(Array.from({ length: tries }, () => code));
    // Every failure but the last says when the next try begins.
    expect(failures.map((failure) => typeof failure['retry_at'])).toEqual(
      failures.map((_, index) => (index + 1 < tries ? 'string' : 'undefined')),
    );
  });

  it('that fails twice is tried again after its back-off, twice as long each time, and completes', async () => {
    const retry = { max_attempts: 3, backoff_seconds: 0.5 };
    const { mission_id } = await create([{ task_id: 'bad', worker: 'hostile.fails_twice', retry }]);
    const waiting = await operator.until(mission_id, (mission) => taskOf(mission, 'bad').status === 'backing_off');
    expect(taskOf(waiting, 'bad')).toMatchObject({ tries: 1, retry_at: expect.any(String), error: { message: /1/ } });

    const mission = await operator.until(mission_id, isEnded);
    expect(mission.status).toBe('completed');
    expect(taskOf(mission, 'bad')).toMatchObject({ attempt: 3, tries: 2, output: { attempt: 3 } });
    const events = await eventsOf(mission_id);
    const timesOf = (name: string) =>
      events.filter(({ type }) => type.split('.')[2] === name).map((event) => Date.parse(String(timeOf(event))));
    const [failed, claimed] = [timesOf('TaskFailed'), timesOf('TaskClaimed')];
    const waits = failed.map((at, index) => (claimed[index + 1] ?? NaN) - at);
    expect(waits).toHaveLength(2);
    expect(waits[0]).toBeGreaterThanOrEqual(500);
    expect(waits[1]).toBeGreaterThanOrEqual(1_000);
    expect(named(events, 'TaskDeadLettered')).toEqual([]);
  });

  it('that never ends keeps no other mission waiting', async () => {
    const loop = { task_id: 'bad', worker: 'hostile.loops', timeout_seconds: 5, retry: once };
    const looping = await Promise.all([create([loop]), create([loop])]);
    const running = (mission: MissionDocument) => taskOf(mission, 'bad').status === 'running';
    for (const { mission_id } of looping) await operator.until(mission_id, running);
    const echo = { goal: 'Say it', plan: { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] } };
    for (let round = 0; round < 5; round++) {
      const answer = await operator.post<MissionDocument>(MISSIONS, echo, { prefer: 'wait=30' });
      expect([answer.status, answer.body.status]).toEqual([200, 'completed']);
      const still = await Promise.all(looping.map(({ mission_id }) => operator.mission(mission_id)));
      expect(still.map(({ status }) => status)).toEqual(['running', 'running']);
    }
    for (const { mission_id } of looping)
      expect(await operator.until(mission_id, isEnded)).toMatchObject({
        status: 'failed',
        tasks: [{ error: { code: 'worker_timed_out' } }],
      });
  });

  it('that returns 200 KiB has them kept in the vault, and the next task gets them', async () => {
    const { mission_id } = await create([
      { task_id: 'big', worker: 'hostile.returns_200kib' },
      {
        task_id: 'next',
        worker: 'hostile.measures',
        input: { text: { $output: 'big', pointer: '/text' } },
        depends_on: ['big'],
      },
    ]);
    const mission = await operator.until(mission_id, isEnded);
    expect(mission).toMatchObject({ status: 'completed' });
    const { output, output_ref } = taskOf(mission, 'big');
    const text = 'y'.repeat(BIG);
    const kept = JSON.stringify({ text });
    const sha256 = createHash('sha256').update(kept).digest('hex');
    expect(output_ref).toMatchObject({ sha256, size: kept.length });
    expect(output).toEqual({ $artifact: output_ref?.artifact_id });
    expect(taskOf(mission, 'next').output).toEqual({
      length: BIG,
      sha256: createHash('sha256').update(text).digest('hex'),
    });
    const content = await operator.get<unknown>(`/v1/vault/artifacts/${output_ref?.artifact_id}/content`);
    expect([content.status, content.body]).toEqual([200, { text }]);
  });

  it('that is killed with its runner uses no try: another attempt completes', async () => {
    const input = { seconds: 4 };
    const { mission_id } = await create([{ task_id: 'long', worker: 'hostile.sleeps', input }]);
    await operator.until(mission_id, (mission) => taskOf(mission, 'long').status === 'running');
    const { pids } = await product.run();
    process.kill(pids['worker-runner'] ?? NaN, 'SIGKILL');
    const mission = await operator.until(mission_id, isEnded, 90);
    expect(mission.status).toBe('completed');
    expect(taskOf(mission, 'long')).toMatchObject({ attempt: 2, tries: 0, output: { attempt: 2 } });
    expect(named(await eventsOf(mission_id), 'TaskReleased')).toMatchObject([{ task_id: 'long', attempt: 1 }]);
  });

  it('leaves the views right: the list has every mission as it ended', async () => {
    const listed = async () => {
      const { body } = await operator.get<Page<MissionDocument>>(`${MISSIONS}?status=failed&limit=200`);
      return new Map(body.data.map((mission) => [mission.mission_id, mission]));
    };
    const complete = (list: ReadonlyMap<string, MissionDocument>) => [...asked.values()].every((id) => list.has(id));
    let list = await listed();
    for (let tries = 0; !complete(list) && tries < 100; tries++) {
      await new Promise((wake) => setTimeout(wake, 100));
      list = await listed();
    }
    for (const { worker, code } of TOLD)
      expect({ worker, task: list.get(asked.get(worker) ?? '')?.tasks[0] }).toMatchObject({
        worker,
        task: { status: 'failed', error: { code } },
      });
  });
});

const timeOf = (event: object): unknown => ('time' in event ? event.time : undefined);
