// Workers that do everything a worker must not do. Loaded by specs through NEXUSMON_WORKER_MODULES, never by a release.

import { getHeapStatistics } from 'node:v8';
import { z } from 'zod';

const worker = (name, execute, more = {}) => ({
  name,
  version: '1.0.0',
  description: 'Misbehaves, on purpose.',
  capabilities: [],
  risk_level: 'E',
  requires_approval: false,
  timeout_seconds: 5,
  input: z.unknown(),
  output: z.unknown(),
  execute,
  ...more,
});

const forever = () => new Promise(() => undefined);
const spin = () => {
  for (;;) Math.hypot(3, 4);
};

const fault = (message, retryable) => Object.assign(new Error(message), { name: 'WorkerFault', retryable });

const cyclic = () => {
  const value = { name: 'a value that holds itself' };
  value.self = value;
  return value;
};

/** Small in memory, and unfolded larger than any machine. */
const unfolding = () => {
  let value = ['x'];
  for (let level = 0; level < 60; level += 1) value = [value, value];
  return value;
};

const deep = () => {
  let value = 1;
  for (let level = 0; level < 20_000; level += 1) value = [value];
  return value;
};

const hoard = [];

const returns = {
  nothing: () => undefined,
  a_function: () => ({ call: () => 1 }),
  a_bigint: () => ({ count: 10n }),
  a_symbol: () => [Symbol('sign')],
  a_date: () => ({ at: new Date(0) }),
  a_map: () => new Map([['a', 1]]),
  not_a_number: () => ({ ratio: Number.NaN }),
  a_hole: () => Array.from({ length: 3 }).fill(1).concat(new Array(1)),
  cyclic,
  unfolding,
  deep,
  nul: () => ({ text: 'before\u0000after' }),
  nul_name: () => ({ 'na\u0000me': 1 }),
  lone_surrogate: () => ({ text: '\ud800' }),
  proto: () => JSON.parse('{"__proto__": {"admin": true}}'),
  ten_megabytes: () => 'x'.repeat(10 * 1024 * 1024),
  ten_megabytes_of_umlauts: () => 'ü'.repeat(600 * 1024),
  a_throwing_getter: () => ({
    get text() {
      throw new Error('no reading');
    },
  }),
  undefined_fields: () => ({ kept: 1, dropped: undefined }),
};

export const workers = [
  worker('hostile.throws', async () => {
    throw new Error('it went wrong');
  }),
  worker('hostile.throws_for_good', async () => {
    throw fault('it will never go right', false);
  }),
  worker('hostile.throws_nul', async () => {
    throw new Error('before\u0000after \ud800');
  }),
  worker('hostile.throws_at_length', async () => {
    throw new Error('long '.repeat(100_000));
  }),
  worker('hostile.throws_text', async () => {
    throw 'only text';
  }),
  worker('hostile.throws_later', () => {
    setTimeout(() => {
      throw new Error('long after');
    }, 10);
    return forever();
  }),
  worker('hostile.rejects_aside', () => {
    void Promise.reject(new Error('aside'));
    return forever();
  }),
  worker('hostile.exits', async () => process.exit(0)),
  worker('hostile.hangs', forever),
  worker('hostile.spins', async () => spin()),
  worker('hostile.blocks', async () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }),
  worker('hostile.ends_when_told', (_task, { signal }) => {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve('ended'), { once: true });
    });
  }),
  worker('hostile.fills_heap', async () => {
    for (;;) hoard.push({ more: new Array(1_000).fill(Math.random()) });
  }),
  worker('hostile.fills_buffers', () => {
    setInterval(() => hoard.push(Buffer.alloc(16 * 1024 * 1024, 1)), 5);
    return forever();
  }),
  worker('hostile.speaks_for_the_thread', async () => {
    const { parentPort } = await import('node:worker_threads');
    parentPort.postMessage({ kind: 'nonsense', run: 1 });
    return forever();
  }),
  worker('hostile.forges_its_result', async () => {
    const { parentPort } = await import('node:worker_threads');
    const send = parentPort.postMessage;
    parentPort.postMessage = (message) => {
      parentPort.postMessage = send;
      parentPort.postMessage({ ...message, text: '{"text":"\\u0000"}' });
    };
    return 'harmless';
  }),
  worker('hostile.reads_heap_limit', async () => ({ bytes: getHeapStatistics().heap_size_limit })),
  worker('hostile.reads_environment', async () => ({ names: Object.keys(process.env) })),
  worker('hostile.prints', async () => {
    process.stdout.write('printed by a worker\n');
    return 'printed';
  }),
  worker('hostile.returns', async ({ input }) => returns[input.what]()),
  worker('hostile.says_a_number', async () => 'not a number', { output: z.strictObject({ count: z.int() }) }),
  worker('hostile.wants_a_number', async ({ input }) => input, { input: z.strictObject({ count: z.int() }) }),
  worker('hostile.puts', async ({ input }, { put_artifact }) => {
    const kept = [];
    for (let index = 0; index < input.times; index += 1)
      kept.push(await put_artifact(input.file, input.media_type ?? 'text/plain', Buffer.from(input.text)));
    return { kept };
  }),
  worker('hostile.gets', async ({ input }, { get_artifact }) => {
    const bytes = await get_artifact(input.artifact_id);
    return { text: Buffer.from(bytes).toString('utf8') };
  }),
  worker('hostile.answers', async ({ input }) => input),
  worker('hostile.takes_its_time', async ({ input }) => {
    await new Promise((resolve) => setTimeout(resolve, input.ms));
    return { took: input.ms };
  }),
];
