// Real threads, running the compiled worker-thread.js from `dist`. Letters and numbers are those of thread.ts (D),
// thread-pool.ts (L) and plain-json.ts (J).

import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ThreadOutcome } from './thread.js';
import { ThreadPool, type PoolOptions } from './thread-pool.js';

const HOSTILE = fileURLToPath(new URL('hostile-workers.fixture.mjs', import.meta.url));
const MEGABYTE = 1024 * 1024;
const OPTIONS: PoolOptions = {
  modules: [HOSTILE],
  allowed_roots: [],
  forbidden_roots: [],
  heap_mb_max: 96,
  path: '/usr/bin:/bin',
  threads_max: 4,
  threads_kept: 1,
};

let pool: ThreadPool;
beforeAll(() => {
  pool = new ThreadPool(OPTIONS);
});
afterAll(() => pool.close());

const never = () => Promise.reject(new Error('there is no vault in this spec'));

const begin = (worker: string, input: unknown = null, in_ms = 20_000, in_pool = pool) =>
  in_pool.run({
    worker,
    task: { mission_id: 'msn', task_id: 'task', attempt: 1, input },
    egress: [],
    output_bytes_max: MEGABYTE,
    deadline_ms: Date.now() + in_ms,
    put_artifact: never,
    get_artifact: never,
    progress: () => undefined,
  });

const run = (...given: Parameters<typeof begin>): Promise<ThreadOutcome> => begin(...given).outcome;
const returned = (what: string) => run('hostile.returns', { what });

const failed = (code: string, message: string, retryable: boolean) => ({
  kind: 'fault',
  error: { code, message: expect.stringContaining(message), retryable },
});

/** What every hostile task must leave behind: a pool that goes on. */
const expectAlive = async () =>
  expect(run('hostile.answers', { still: 'here' })).resolves.toEqual({ kind: 'output', text: '{"still":"here"}' });

describe('a thread pool', () => {
  it('runs a worker and gives its output as text', () => expectAlive());

  it('runs built-in workers too', () =>
    expect(run('system.echo', { value: [1, 'two'] })).resolves.toEqual({
      kind: 'output',
      text: '{"value":[1,"two"]}',
    }));

  it('says that it has no such worker', () =>
    expect(run('no.such.worker')).resolves.toEqual(failed('worker_failed', 'no worker no.such.worker', true)));

  it('holds an input to its schema', () =>
    expect(run('hostile.wants_a_number', { count: 'one' })).resolves.toEqual(
      failed('input_invalid', 'the input at /count', false),
    ));

  it('holds an output to its schema', () =>
    expect(run('hostile.says_a_number')).resolves.toEqual(failed('output_invalid', 'the output', false)));

  it('shows a worker no environment but PATH (D4)', () =>
    expect(run('hostile.reads_environment')).resolves.toEqual({ kind: 'output', text: '{"names":["PATH"]}' }));

  it('gives a worker a small young generation, whatever the process has', async () => {
    setFlagsFromString('--max-semi-space-size=64');
    const small = new ThreadPool(OPTIONS);
    try {
      const outcome = await begin('hostile.reads_heap_limit', null, 20_000, small).outcome;
      const { bytes } = JSON.parse(outcome.kind === 'output' ? outcome.text : '{}') as { bytes: number };
      expect(bytes / MEGABYTE).toBeGreaterThan(OPTIONS.heap_mb_max);
      expect(bytes / MEGABYTE).toBeLessThan(OPTIONS.heap_mb_max + 16);
    } finally {
      small.close();
    }
  });

  it('has no thread when nothing was to do for long, and one again for what comes then (L2)', async () => {
    const resting = new ThreadPool({ ...OPTIONS, last_idle_ms: 50 });
    try {
      for (const value of [1, 2]) {
        const output = { kind: 'output', text: `{"value":${value}}` };
        await expect(run('system.echo', { value }, 20_000, resting)).resolves.toEqual(output);
        expect(resting.size).toBe(1);
        while (resting.size > 0) await pause(5);
      }
    } finally {
      resting.close();
    }
  });

  it('passes nothing on of what a worker prints (D4)', () =>
    expect(run('hostile.prints')).resolves.toEqual({ kind: 'output', text: '"printed"' }));
});

describe('a worker that throws', () => {
  it('has failed, and another try may help', () =>
    expect(run('hostile.throws')).resolves.toEqual(failed('worker_failed', 'it went wrong', true)));

  it('may say that no other try will help', () =>
    expect(run('hostile.throws_for_good')).resolves.toEqual(failed('worker_failed', 'it will never go right', false)));

  it('leaves a message that every store can keep', async () => {
    await expect(run('hostile.throws_nul')).resolves.toEqual(failed('worker_failed', 'before\uFFFDafter \uFFFD', true));
    const outcome = await run('hostile.throws_at_length');
    expect(outcome.kind === 'fault' && outcome.error.message.length).toBe(4_000);
  });

  it('may throw what is no error', () =>
    expect(run('hostile.throws_text')).resolves.toEqual(failed('worker_failed', '"only text"', true)));
});

describe('a worker that takes its thread with it', () => {
  it.each([
    ['hostile.exits', 'exit 0'],
    ['hostile.throws_later', 'long after'],
    ['hostile.rejects_aside', 'aside'],
    ['hostile.fills_heap', 'memory'],
    ['hostile.fills_buffers', 'it took more than 96 MB'],
    ['hostile.speaks_for_the_thread', 'wrote to the channel'],
  ])('%s costs its own task only (D3)', async (worker, why) => {
    const beside = run('hostile.takes_its_time', { ms: 300 });
    await expect(run(worker)).resolves.toEqual(failed('worker_failed', why, true));
    await expect(beside).resolves.toEqual({ kind: 'output', text: '{"took":300}' });
    await expectAlive();
  });
});

describe('a worker that does not end', () => {
  it.each(['hostile.hangs', 'hostile.spins', 'hostile.blocks', 'hostile.ends_when_told'])(
    '%s is ended at its deadline (D2)',
    async (worker) => {
      await expect(run(worker, null, 300)).resolves.toEqual(failed('worker_timed_out', 'at the deadline', true));
      await expectAlive();
    },
  );

  it.each(['hostile.spins', 'hostile.ends_when_told'])('%s is ended on request (D2)', async (worker) => {
    const running = begin(worker);
    await expectAlive();
    running.stop();
    await expect(running.outcome).resolves.toEqual({ kind: 'stopped' });
  });

  it('does not hold up the others while threads may be added (L3)', async () => {
    const spinning = [begin('hostile.spins'), begin('hostile.spins'), begin('hostile.blocks')];
    await expectAlive();
    for (const { stop } of spinning) stop();
    await Promise.all(spinning.map(({ outcome }) => outcome));
  });

  it('holds up the others only when all threads are taken, and those then wait their turn (L1)', async () => {
    const small = new ThreadPool({ ...OPTIONS, threads_max: 1 });
    const first = run('hostile.hangs', null, 200, small);
    const second = run('hostile.answers', 2, 20_000, small);
    await expect(first).resolves.toEqual(failed('worker_timed_out', 'at the deadline', true));
    await expect(second).resolves.toEqual({ kind: 'output', text: '2' });
    small.close();
  });

  it('has not failed when it never got a thread before its deadline', async () => {
    const small = new ThreadPool({ ...OPTIONS, threads_max: 1 });
    const first = begin('hostile.hangs', null, 20_000, small);
    const second = run('hostile.answers', 2, 50, small);
    setTimeout(() => first.stop(), 100);
    await expect(second).resolves.toEqual(failed('runner_lost', 'no thread was free', true));
    small.close();
  });

  it('is given back when long ones hold all threads, and has not failed (L3)', async () => {
    const small = new ThreadPool({ ...OPTIONS, threads_max: 1, wait_ms: 200 });
    const first = begin('hostile.hangs', null, 20_000, small);
    await expect(run('hostile.answers', 2, 20_000, small)).resolves.toEqual(
      failed('runner_lost', 'no thread was free', true),
    );
    first.stop();
    small.close();
  });

  it('ends with the pool', async () => {
    const closing = new ThreadPool(OPTIONS);
    const running = [run('hostile.spins', null, 20_000, closing), run('hostile.hangs', null, 20_000, closing)];
    closing.close();
    await expect(Promise.all(running)).resolves.toEqual([{ kind: 'stopped' }, { kind: 'stopped' }]);
  });
});

describe('short tasks that lie in a thread behind another (D5, L4)', () => {
  let few: ThreadPool;
  beforeAll(async () => {
    few = new ThreadPool({ ...OPTIONS, threads_max: 2 });
  });
  afterAll(() => few.close());

  const echo = (value: number) => run('system.echo', { value }, 20_000, few);
  const echoes = (count: number) => Promise.all(Array.from({ length: count }, (_, value) => echo(value)));
  const all = (count: number) =>
    Array.from({ length: count }, (_, value) => ({ kind: 'output', text: `{"value":${value}}` }));
  /** So many short ones that more are handed over than run. */
  const warm = async () => {
    for (let round = 0; round < 4; round += 1) await echoes(10);
  };

  it('are all answered, each with its own', async () => {
    await warm();
    await expect(echoes(200)).resolves.toEqual(all(200));
  });

  it.each([
    ['hostile.exits', 'exit 0'],
    ['hostile.fills_heap', 'memory'],
    ['hostile.speaks_for_the_thread', 'wrote to the channel'],
  ])('have not failed when it takes its thread with it: %s (D3)', async (worker, why) => {
    await warm();
    const [ended, behind] = [run(worker, null, 20_000, few), echoes(6)];
    await expect(ended).resolves.toEqual(failed('worker_failed', why, true));
    await expect(behind).resolves.toEqual(all(6));
  });

  it('do not wait for one that takes long after all', async () => {
    await warm();
    const long = begin('hostile.spins', null, 20_000, few);
    await expect(echoes(6)).resolves.toEqual(all(6));
    long.stop();
    await expect(long.outcome).resolves.toEqual({ kind: 'stopped' });
  });

  it('go on elsewhere when it is told to stop', async () => {
    await warm();
    const long = begin('hostile.ends_when_told', null, 20_000, few);
    const behind = echoes(6);
    long.stop();
    await expect(long.outcome).resolves.toEqual({ kind: 'stopped' });
    await expect(behind).resolves.toEqual(all(6));
  });

  it('may be stopped themselves, and then never begin', async () => {
    const small = new ThreadPool({ ...OPTIONS, threads_max: 1 });
    for (let round = 0; round < 30; round += 1) await run('system.echo', { value: round }, 20_000, small);
    let puts = 0;
    const first = begin('hostile.takes_its_time', { ms: 300 }, 20_000, small);
    const second = small.run({
      worker: 'hostile.puts',
      task: { mission_id: 'msn', task_id: 'task', attempt: 1, input: { times: 1, file: 'f', text: 't' } },
      egress: [],
      output_bytes_max: MEGABYTE,
      deadline_ms: Date.now() + 20_000,
      put_artifact: async () => (puts += 1),
      get_artifact: never,
      progress: () => undefined,
    });
    second.stop();
    await expect(second.outcome).resolves.toEqual({ kind: 'stopped' });
    await expect(first.outcome).resolves.toEqual({ kind: 'output', text: '{"took":300}' });
    await expect(run('system.echo', { value: 0 }, 20_000, small)).resolves.toEqual(all(1)[0]);
    expect(puts).toBe(0);
    small.close();
  });

  it('have not failed when their time is up before they began', async () => {
    const small = new ThreadPool({ ...OPTIONS, threads_max: 1 });
    for (let round = 0; round < 30; round += 1) await run('system.echo', { value: round }, 20_000, small);
    const first = begin('hostile.takes_its_time', { ms: 400 }, 20_000, small);
    const second = run('system.echo', { value: 0 }, 100, small);
    await expect(second).resolves.toEqual(failed('runner_lost', 'no thread was free', true));
    await expect(first.outcome).resolves.toEqual({ kind: 'output', text: '{"took":400}' });
    small.close();
  });

  it('end with the pool', async () => {
    const closing = new ThreadPool({ ...OPTIONS, threads_max: 1 });
    for (let round = 0; round < 30; round += 1) await run('system.echo', { value: round }, 20_000, closing);
    const runs = [begin('hostile.spins', null, 20_000, closing), begin('system.echo', { value: 1 }, 20_000, closing)];
    closing.close();
    await expect(Promise.all(runs.map(({ outcome }) => outcome))).resolves.toEqual([
      { kind: 'stopped' },
      { kind: 'stopped' },
    ]);
  });
});

describe('a thread that is only starting', () => {
  it('is not taken for a dead one when its memory is looked at', async () => {
    const watchful = new ThreadPool({ ...OPTIONS, memory_check_ms: 1 });
    const runs = [1, 2, 3].map((value) => run('hostile.answers', value, 20_000, watchful));
    await expect(Promise.all(runs)).resolves.toEqual([1, 2, 3].map((value) => ({ kind: 'output', text: `${value}` })));
    watchful.close();
  });
});

describe('an output that is not JSON', () => {
  it.each([
    ['nothing', 'there is nothing'],
    ['a_function', '/call cannot be kept: it is a function'],
    ['a_bigint', '/count cannot be kept: it is a bigint'],
    ['a_symbol', '/0 cannot be kept: it is a symbol'],
    ['a_date', '/at cannot be kept: it is an object of a class'],
    ['a_map', 'it is an object of a class'],
    ['not_a_number', '/ratio cannot be kept: it is not a finite number'],
    ['a_hole', '/3 cannot be kept: there is nothing'],
    ['cyclic', 'it is deeper than 64'],
    ['deep', 'it is deeper than 64'],
    ['nul', '/text cannot be kept: text holds U+0000'],
    ['nul_name', 'the name of a field holds U+0000'],
    ['lone_surrogate', 'or a lone surrogate'],
    ['proto', '__proto__'],
  ])('%s is refused with its place (J1)', (what, why) =>
    expect(returned(what)).resolves.toEqual(failed('output_invalid', why, false)),
  );

  it('fails like any other error when reading it throws', () =>
    expect(returned('a_throwing_getter')).resolves.toEqual(failed('worker_failed', 'no reading', true)));

  it.each(['ten_megabytes', 'ten_megabytes_of_umlauts', 'unfolding'])('%s is too large (J2)', (what) =>
    expect(returned(what)).resolves.toEqual(failed('output_too_large', '1048576 bytes', false)),
  );

  it('may have fields that are undefined: they do not exist (J1)', () =>
    expect(returned('undefined_fields')).resolves.toEqual({ kind: 'output', text: '{"kept":1}' }));
});
