// Workers that do everything a worker should not. Each is what its name says.

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';

const nothing = z.strictObject({});
const anything = z.unknown();
const forever = () => new Promise(() => undefined);
const MIB = 1024 * 1024;

const worker = (name, execute, { input = nothing, output = anything } = {}) => ({
  name: `hostile.${name}`,
  version: '1.0.0',
  description: `Does what no worker should: ${name}.`,
  capabilities: [],
  risk_level: 'E',
  requires_approval: false,
  timeout_seconds: 60,
  input,
  output,
  execute: async (task, context) => execute(task, context),
});

const throws = (error) => () => {
  throw error;
};

const cyclic = () => {
  const circle = { name: 'circle' };
  circle.itself = circle;
  return circle;
};

const failsTwice = ({ attempt }) => {
  if (attempt < 3) throw new Error(`not yet, this is only attempt ${attempt}`);
  return { attempt };
};

/** A fault by name: a module of workers need not have our class. */
const hopeless = Object.assign(new Error('no use to try again'), { name: 'WorkerFault', retryable: false });

const spin = ({ input: { seconds } }) => {
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end);
  return {};
};

const objectsWithoutEnd = () => {
  const kept = [];
  for (;;) kept.push(Array.from({ length: 1_000 }, (_, index) => ({ index })));
};

/** Outside the heap, where the limit of a thread does not count by itself. */
const buffersWithoutEnd = async () => {
  const kept = [];
  for (;;) {
    kept.push(Buffer.alloc(4 * MIB, 1));
    await pause(10);
  }
};

const seconds = z.strictObject({ seconds: z.number() });
const text = z.strictObject({ text: z.string() });

const throwsItsInput = ({ input }) => {
  throw new Error(input.text);
};

export const workers = [
  worker('throws', throws(new Error('as it always does'))),
  worker('throws_text', throws('just text')),
  worker('throws_nul', throws(new Error('before \u0000 after'))),
  worker('throws_for_good', throws(hopeless)),
  worker('throws_its_input', throwsItsInput, { input: text }),
  worker('fails_twice', failsTwice),
  worker('hangs', forever),
  worker('loops', () => spin({ input: { seconds: Infinity } })),
  worker('spins', spin, { input: seconds }),
  worker('returns_nothing', () => undefined),
  worker('returns_function', () => ({ run: () => 1 })),
  worker('returns_other', () => ({ count: 'many' }), { output: z.strictObject({ count: z.int() }) }),
  worker('returns_bigint', () => ({ count: 10n })),
  worker('returns_cycle', cyclic),
  worker('returns_nul', () => ({ text: 'before \u0000 after' })),
  worker('returns_10mb', () => ({ text: 'x'.repeat(10_000_000) })),
  worker('returns_200kib', () => ({ text: 'y'.repeat(200 * 1024) }), { output: text }),
  worker('exits', () => process.exit(0)),
  worker('allocates_objects', objectsWithoutEnd),
  worker('allocates_buffers', buffersWithoutEnd),
  worker(
    'measures',
    ({ input: { text } }) => ({ length: text.length, sha256: createHash('sha256').update(text).digest('hex') }),
    { input: text },
  ),
  worker(
    'sleeps',
    async ({ attempt, input }, { signal }) => {
      await pause(input.seconds * 1_000, undefined, { signal });
      return { attempt };
    },
    { input: seconds },
  ),
];
