// `npm run bench -- --only missions --profile`: where the time of the product's main thread goes while missions run,
// and what its memory is allocated for, by stages.
//
//   R1. A sample belongs to the innermost of its frames that a stage claims: a hash taken for a permit is a hash.
//   R2. Shares are of the samples that are not idle. Milliseconds are these shares of the processor time that the
//       thread has used, since a busy machine lets samples wait too.

import { readdirSync, readFileSync } from 'node:fs';
import { inFlight, mission } from './measure.mjs';

const IN_FLIGHT = 64;
/** Where Node's inspector listens once a process is told to start it. */
const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const CPU_INTERVAL_US = 300;
const HEAP_INTERVAL_BYTES = 16 * 1024;

/** By the frame's function and file, the first that fits. */
const STAGES = [
  ['garbage collection', /^\(garbage collector\)/],
  ['checking by schema', /node_modules\/zod\//],
  ['hashes', /internal\/crypto\/hash/],
  ['sealing', /internal\/crypto\/cipher|event-log\/dist\/sealing/],
  ['signatures', /internal\/crypto\/sig|keys\/dist\/signatures/],
  ['canonical text', /event-log\/dist\/canonical/],
  ['telemetry', /platform\/telemetry\/|node_modules\/(@opentelemetry|pino|sonic-boom|thread-stream)/],
  [
    'NATS: commits and acknowledgements',
    /node_modules\/@nats-io|messaging\/dist\/(request-mux|outbox)|event-stream|append/,
  ],
  ['requests between contexts', /platform\/messaging\/|node_modules\/@nestjs|node_modules\/rxjs/],
  ['log: encoding, queues, commits', /platform\/event-log\//],
  ['views and PostgreSQL', /platform\/projections\/|\.projection\.js|libs\/evolution\/|node_modules\/(pg|@mikro-orm)/],
  ['data keys', /platform\/keys\//],
  [
    'HTTP, sessions, routes',
    /libs\/(gateway|access)\/|node_modules\/(fastify|find-my-way|@fastify)|node:_http|internal\/http/,
  ],
  ['gate: verdicts and permits', /libs\/governance\//],
  ['missions: rules, service, dispatch', /libs\/mission\//],
  ['runner and threads', /libs\/worker\/|internal\/worker/],
];
const REST = 'engine, Node, and what nobody claims';

const stageOf = ({ functionName, url }) => {
  const frame = `${functionName} ${url}`;
  return STAGES.find(([, claims]) => claims.test(frame))?.[0];
};

class Inspector {
  #waiting = new Map();
  #last = 0;

  static async of(pid) {
    process.kill(pid, 'SIGUSR1');
    const inspector = new Inspector();
    for (let attempt = 1; !inspector.socket; attempt += 1) {
      const [target] = await fetch(INSPECTOR).then(
        (answer) => answer.json(),
        () => [],
      );
      if (target) await inspector.#open(target.webSocketDebuggerUrl);
      else if (attempt > 50) throw new Error('the inspector of the product does not answer');
      else await new Promise((wake) => setTimeout(wake, 100));
    }
    const { result } = await inspector.send('Runtime.evaluate', { expression: 'process.pid' });
    if (result.value !== pid) throw new Error(`${INSPECTOR} is that of process ${result.value}, not of the product`);
    return inspector;
  }

  async #open(url) {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`${url} cannot be opened`)));
    });
    socket.addEventListener('message', ({ data }) => {
      const { id, result, error } = JSON.parse(data);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    });
    this.socket = socket;
  }

  send(method, params = {}) {
    this.#last += 1;
    this.socket.send(JSON.stringify({ id: this.#last, method, params }));
    return new Promise((resolve, reject) => this.#waiting.set(this.#last, { resolve, reject }));
  }
}

/** Milliseconds of processor time by thread: the main one, V8's own, and those of tasks. */
const threadMs = (pid) => {
  const used = { main: 0, V8Worker: 0, WorkerThread: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const name = Number(thread) === pid ? 'main' : readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
    const [ns = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    if (name in used) used[name] += Number(ns) / 1e6;
  }
  return used;
};

/** Adds up what `weigh` says of each node for the stage that it belongs to (R1). */
const byStage = (root, weigh, childrenOf) => {
  const sums = new Map();
  const walk = (node, above) => {
    const stage = stageOf(node.callFrame) ?? above;
    if (node.callFrame.functionName !== '(idle)') sums.set(stage, (sums.get(stage) ?? 0) + weigh(node));
    for (const child of childrenOf(node)) walk(child, stage);
  };
  walk(root, REST);
  return [...sums].sort(([, one], [, other]) => other - one);
};

const cpuByStage = ({ nodes, samples, timeDeltas }) => {
  const known = new Map(nodes.map((node) => [node.id, { ...node, us: 0 }]));
  // A delta is the time from the sample before.
  for (const [index, id] of samples.entries()) known.get(id).us += timeDeltas[index + 1] ?? 0;
  const children = ({ children: ids = [] }) => ids.map((id) => known.get(id));
  return byStage(known.get(nodes[0].id), ({ us }) => us, children);
};

const runMany = (product, count) => inFlight(count, IN_FLIGHT, (index) => mission(product, index));

/** Prints processor time and allocated memory by stage. */
export const profile = async (product, count, row) => {
  const pid = product.run.pids.standalone;
  if (pid === undefined) throw new Error('the profile is that of a product in one process');
  const inspector = await Inspector.of(pid);
  await inspector.send('Profiler.enable');
  await inspector.send('Profiler.setSamplingInterval', { interval: CPU_INTERVAL_US });
  await inspector.send('Profiler.start');
  const before = threadMs(pid);
  await runMany(product, count);
  const after = threadMs(pid);
  const { profile: sampled } = await inspector.send('Profiler.stop');
  const main_ms = (after.main - before.main) / count;
  row('main thread, sampled', main_ms, 'ms');
  row("V8's own threads", (after.V8Worker - before.V8Worker) / count, 'ms');
  row("tasks' threads", (after.WorkerThread - before.WorkerThread) / count, 'ms');
  const stages = cpuByStage(sampled);
  const all_us = stages.reduce((sum, [, us]) => sum + us, 0);
  for (const [stage, us] of stages) row(`  ${stage}`, (us / all_us) * main_ms, 'ms of the main thread');

  const collected = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
  await inspector.send('HeapProfiler.startSampling', { samplingInterval: HEAP_INTERVAL_BYTES, ...collected });
  await runMany(product, count);
  const { profile: allocated } = await inspector.send('HeapProfiler.stopSampling');
  const sizes = byStage(
    allocated.head,
    ({ selfSize }) => selfSize / 1_024 / count,
    ({ children }) => children,
  );
  row(
    'memory allocated',
    sizes.reduce((sum, [, kb]) => sum + kb, 0),
    'KB',
  );
  for (const [stage, kb] of sizes) row(`  ${stage}`, kb, 'KB');
  inspector.socket.close();
};
