// The inside of a worker thread: takes one task at a time, runs its worker, and sends back what came of it.
//
// Started from `dist` (see thread.ts): Node loads no TypeScript whose imports end in `.js`.
//
//   T1. Input and output are checked here against the worker's own schemas, so that a costly check stops at the
//       deadline like everything else a worker costs.
//   T2. What leaves the thread is text that was checked (plain-json.ts), or a fault. Nothing a worker returns is
//       cloned.
//   T3. One task at a time. What was handed over ahead waits here, and begins only if it was not taken back meanwhile.

import { parentPort, workerData } from 'node:worker_threads';
import type { ArtifactRef, TaskError } from '@nexusmon/worker-contract';
import type { z } from 'zod';
import { WorkerFault, type WorkerContext, type WorkerPlugin } from '../worker-plugin.js';
import { keepableText, taskFault } from './fault.js';
import { loadPlugins } from './load-plugins.js';
import { plainJson } from './plain-json.js';
import type { FromThread, ThreadSetup, ToThread } from './thread-messages.js';
import { Turns } from './turns.js';

if (!parentPort) throw new Error('worker-thread.js runs in a thread of a runner only');
const runner = parentPort;
const setup = workerData as { -readonly [Name in keyof ThreadSetup]?: ThreadSetup[Name] };
const { modules = [], allowed_roots = [], forbidden_roots = [] } = setup;
const turns = new Turns(setup.turns);
// Out of the reach of workers.
delete setup.turns;

type RunMessage = Extract<ToThread, { kind: 'run' }>;
type Run = Readonly<{ run: string; abort: AbortController }>;
type Call = Readonly<{ run: string; resolve: (answer: unknown) => void; reject: (error: Error) => void }>;

const plugins = new Map<string, WorkerPlugin>();
const calls = new Map<number, Call>();
/** Tasks that wait here for the one before them. */
const ahead: RunMessage[] = [];
let current: Run | undefined;
let last_call = 0;

const send = (message: FromThread, transfer: readonly ArrayBuffer[] = []) => runner.postMessage(message, [...transfer]);

type Ask =
  | Omit<Extract<FromThread, { kind: 'put_artifact' }>, 'call'>
  | Omit<Extract<FromThread, { kind: 'get_artifact' }>, 'call'>;

/** Asks the runner, who holds the credentials and the connections. */
const ask = (message: Ask, transfer: readonly ArrayBuffer[] = []): Promise<unknown> =>
  new Promise((resolve, reject) => {
    last_call += 1;
    calls.set(last_call, { run: message.run, resolve, reject });
    send({ ...message, call: last_call }, transfer);
  });

const contextOf = ({ run, abort }: Run, egress: readonly string[]): WorkerContext => ({
  signal: abort.signal,
  allowed_roots,
  forbidden_roots,
  egress,
  put_artifact: async (file, media_type, bytes) => {
    abort.signal.throwIfAborted();
    // A copy of exactly these bytes: the view may show a part of a larger buffer, and the worker may go on using it.
    const copy = new Uint8Array(bytes);
    return (await ask({ kind: 'put_artifact', run, file, media_type, bytes: copy }, [copy.buffer])) as ArtifactRef;
  },
  get_artifact: async (artifact_id) => {
    abort.signal.throwIfAborted();
    return (await ask({ kind: 'get_artifact', run, artifact_id })) as Uint8Array;
  },
  progress: (message, fraction) =>
    send({
      kind: 'progress',
      run,
      message: keepableText(String(message)),
      ...(fraction === undefined ? {} : { fraction }),
    }),
});

/** By name and not by class: a module of workers may have loaded a copy of ours. */
const isWorkerFault = (error: unknown): error is WorkerFault =>
  error instanceof Error &&
  error.name === 'WorkerFault' &&
  'retryable' in error &&
  typeof error.retryable === 'boolean';

const describe = (error: unknown): string => {
  if (typeof error === 'string') return `the worker threw ${JSON.stringify(error)}`;
  if (!(error instanceof Error)) return `the worker threw something that is no error (${typeof error})`;
  return error.name === 'Error' || isWorkerFault(error) ? error.message : `${error.name}: ${error.message}`;
};

const schemaFault = (code: 'input_invalid' | 'output_invalid', what: string, error: z.ZodError): TaskError => {
  const [first] = error.issues;
  const where = first && first.path.length > 0 ? ` at /${first.path.map(String).join('/')}` : '';
  return taskFault(code, `${what}${where} is not what the worker's schema says: ${first?.message ?? 'unknown'}`, false);
};

const perform = async (message: RunMessage, run: Run): Promise<string | TaskError> => {
  const { worker, task, output_bytes_max } = message;
  const plugin = plugins.get(worker);
  if (!plugin) return taskFault('worker_failed', `this runner has no worker ${worker}`, true);
  const input = plugin.input.safeParse(task.input);
  if (!input.success) return schemaFault('input_invalid', 'the input', input.error);
  const returned: unknown = await plugin.execute({ ...task, input: input.data }, contextOf(run, message.egress));

  const plain = plainJson(returned, output_bytes_max);
  if (plain.kind === 'refused') return taskFault(plain.code, plain.message, false);
  const output = plugin.output.safeParse(plain.value);
  if (!output.success) return schemaFault('output_invalid', 'the output', output.error);
  // A schema may change what it parses (a default, a transformation): what is sent is what it gave.
  const final = plainJson(output.data, output_bytes_max);
  return final.kind === 'json' ? final.text : taskFault(final.code, final.message, false);
};

const attempted = async (message: RunMessage, run: Run): Promise<string | TaskError> => {
  try {
    return await perform(message, run);
  } catch (error) {
    // Everything a worker throws ends here: it is its answer.
    return taskFault('worker_failed', describe(error), isWorkerFault(error) ? error.retryable : true);
  }
};

const start = async (message: RunMessage): Promise<void> => {
  const { run } = message;
  const began_ms = performance.now();
  current = { run, abort: new AbortController() };
  const result = await attempted(message, current);
  current = undefined;
  const took_ms = performance.now() - began_ms;
  if (typeof result === 'string') send({ kind: 'completed', run, took_ms, text: result });
  else send({ kind: 'failed', run, took_ms, ...result });
  startNext();
};

const startNext = (): void => {
  if (current) return;
  for (let next = ahead.shift(); next; next = ahead.shift())
    if (turns.begin(next.turn)) {
      void start(next);
      return;
    }
};

const settle = (call: number, settle_: (waiting: Call) => void) => {
  const waiting = calls.get(call);
  calls.delete(call);
  if (waiting) settle_(waiting);
};

const receive = (message: ToThread): void => {
  switch (message.kind) {
    case 'run':
      ahead.push(message);
      startNext();
      return;
    case 'abort':
      if (current?.run === message.run) current.abort.abort(new Error(message.why));
      return;
    case 'answered':
      settle(message.call, ({ resolve }) => resolve(message.answer));
      return;
    case 'not_answered':
      settle(message.call, ({ reject }) => reject(new WorkerFault(message.message, message.retryable)));
      return;
  }
};

for (const { plugins: loaded } of await loadPlugins(modules))
  for (const plugin of loaded) plugins.set(plugin.name, plugin);
runner.on('message', receive);
send({ kind: 'ready' });
