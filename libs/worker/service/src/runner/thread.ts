// One worker thread, seen from the runner.
//
//   D1. One task at a time. What it is asked ends exactly once: with what the worker gave, or with why it gave nothing.
//   D2. At the deadline the worker is told; a moment later the thread is ended, whatever it is doing. A thread whose
//       task was told to stop is never used again: what that task left running would run beside the next.
//   D3. A thread that dies (an exit, an uncaught error, no memory left) takes one task with it and nothing else.
//   D4. A worker finds no environment there but PATH, and may print: its lines are counted, not passed on.

import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import type { TaskError } from '@nexusmon/worker-contract';
import { taskFault } from './fault.js';
import { fromThread, type FromThread, type ThreadSetup, type ToThread } from './thread-messages.js';

/** From `src` as from `dist` this is the compiled thread: the one that Node can load. */
const ENTRY = new URL('../../dist/runner/worker-thread.js', import.meta.url);

/** How long a worker has to end by itself once it was told to stop. */
export const STOP_GRACE_MS = 2_000;
const YOUNG_GENERATION_MB_MAX = 4;
/** What the process was given for its own heap would be taken for those of its threads, whatever they ask for. */
const NO_COMMON_YOUNG_GENERATION = '--max-semi-space-size=0';
const STACK_MB = 4;
/** Memory outside the heap (buffers) has no limit of its own: it is looked at this often while a task runs. */
const MEMORY_CHECK_MS = 500;
const BYTES_PER_MB = 1024 * 1024;

export type ThreadOptions = ThreadSetup &
  Readonly<{
    heap_mb_max: number;
    /** PATH as the worker sees it. */
    path: string;
    /** @default MEMORY_CHECK_MS */
    memory_check_ms?: number;
  }>;

export type ThreadTask = Readonly<{
  worker: string;
  task: Readonly<{ mission_id: string; task_id: string; attempt: number; input: unknown }>;
  /** What it may reach outside, as it was permitted. */
  egress: readonly string[];
  output_bytes_max: number;
  deadline_ms: number;
  /** Answers for the vault. Rejections reach the worker; `retryable` on an error is passed on. */
  put_artifact: (file: string, media_type: string, bytes: Uint8Array) => Promise<unknown>;
  get_artifact: (artifact_id: string) => Promise<Uint8Array<ArrayBuffer>>;
  progress: (message: string, fraction: number | undefined) => void;
}>;

export type ThreadOutcome =
  | Readonly<{ kind: 'output'; text: string }>
  | Readonly<{ kind: 'fault'; error: TaskError }>
  /** Told to stop from outside before it ended. */
  | Readonly<{ kind: 'stopped' }>;

type Running = {
  readonly run: string;
  readonly task: ThreadTask;
  readonly settle: (outcome: ThreadOutcome) => void;
  readonly timers: NodeJS.Timeout[];
  readonly since_ms: number;
  /** What the outcome is once the thread has stopped: decided when it was told to. */
  stopping: ThreadOutcome | undefined;
};

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
const isNotRunning = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_WORKER_NOT_RUNNING';
const isRetryable = (error: unknown) => !(error instanceof Error && 'retryable' in error && error.retryable === false);

export class Thread {
  private readonly worker: Worker;
  private running: Running | undefined;
  private dead = false;
  private loaded = false;
  private last_error: Error | undefined;

  constructor(
    private readonly options: ThreadOptions,
    private readonly onDeath: (thread: Thread) => void,
  ) {
    const { modules, allowed_roots, forbidden_roots, heap_mb_max, path } = options;
    const resourceLimits: ResourceLimits = {
      maxOldGenerationSizeMb: heap_mb_max,
      maxYoungGenerationSizeMb: YOUNG_GENERATION_MB_MAX,
      stackSizeMb: STACK_MB,
    };
    setFlagsFromString(NO_COMMON_YOUNG_GENERATION);
    this.worker = new Worker(ENTRY, {
      workerData: { modules, allowed_roots, forbidden_roots } satisfies ThreadSetup,
      env: { PATH: path },
      execArgv: [],
      argv: [],
      stdout: true,
      stderr: true,
      resourceLimits,
    });
    // Read and dropped: unread, they would pile up.
    this.worker.stdout.resume();
    this.worker.stderr.resume();
    this.worker.on('message', (message: unknown) => this.receive(message));
    this.worker.on('messageerror', (error) => this.die(error));
    this.worker.on('error', (error: unknown) => {
      this.last_error = asError(error);
    });
    this.worker.on('exit', (code) => this.exited(code));
  }

  /** Until its workers are loaded; a task that it was given already waits as long. */
  get starting(): boolean {
    return !this.dead && !this.loaded;
  }

  get idle(): boolean {
    return !this.dead && this.running === undefined;
  }

  /** How long the present task has run; 0 when there is none. */
  get busy_ms(): number {
    return this.running ? performance.now() - this.running.since_ms : 0;
  }

  run(task: ThreadTask): Promise<ThreadOutcome> {
    if (!this.idle) throw new Error('a thread runs one task at a time');
    const run = randomUUID();
    return new Promise((resolve) => {
      const late_in_ms = Math.max(0, task.deadline_ms - Date.now());
      const timers = [
        setTimeout(() => this.stop(timedOut(late_in_ms)), late_in_ms),
        setInterval(() => this.checkMemory(run), this.options.memory_check_ms ?? MEMORY_CHECK_MS),
      ];
      this.running = { run, task, settle: resolve, timers, since_ms: performance.now(), stopping: undefined };
      const { worker, task: asked, egress, output_bytes_max } = task;
      this.send({ kind: 'run', run, worker, task: asked, egress, output_bytes_max });
    });
  }

  /** Tells the worker to stop, and ends the thread when it does not. `outcome` is what is said of it then (D2). */
  stop(outcome: ThreadOutcome = { kind: 'stopped' }): void {
    const { running } = this;
    if (!running || running.stopping) return;
    running.stopping = outcome;
    const why = outcome.kind === 'fault' ? outcome.error.message : 'the attempt was stopped';
    this.send({ kind: 'abort', run: running.run, why });
    running.timers.push(setTimeout(() => this.end(), STOP_GRACE_MS));
  }

  /** Ends the thread at once. Not waited for: a thread in a system call ends when that returns. */
  end(): void {
    if (!this.dead) void this.worker.terminate();
    this.finish({ kind: 'stopped' });
    this.bury();
  }

  private send(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    if (!this.dead) this.worker.postMessage(message, [...transfer]);
  }

  private receive(received: unknown): void {
    const parsed = fromThread.safeParse(received);
    if (!parsed.success) {
      this.die(new Error('the worker wrote to the channel of its thread'));
      return;
    }
    const message = parsed.data;
    const { running } = this;
    if (message.kind === 'ready') this.loaded = true;
    if (message.kind === 'ready' || !running || message.run !== running.run) return;
    switch (message.kind) {
      case 'completed':
        return this.answered(running, { kind: 'output', text: message.text });
      case 'failed': {
        const { code, message: why, retryable } = message;
        return this.answered(running, { kind: 'fault', error: taskFault(code, why, retryable) });
      }
      case 'put_artifact':
      case 'get_artifact':
        return void this.answer(running, message);
      case 'progress':
        return running.task.progress(message.message, message.fraction);
    }
  }

  private answered(running: Running, outcome: ThreadOutcome): void {
    this.finish(outcome);
    if (running.stopping) this.end();
  }

  private async answer(
    { run, task }: Running,
    message: Extract<FromThread, { kind: 'put_artifact' | 'get_artifact' }>,
  ): Promise<void> {
    const { call } = message;
    try {
      if (message.kind === 'put_artifact') {
        const { file, media_type, bytes } = message;
        this.sendTo(run, { kind: 'answered', call, answer: await task.put_artifact(file, media_type, bytes) });
      } else {
        const bytes = await task.get_artifact(message.artifact_id);
        this.sendTo(run, { kind: 'answered', call, answer: bytes }, [bytes.buffer]);
      }
    } catch (error) {
      // The worker asked, so the worker hears of it; its attempt fails with it unless it knows better.
      const retryable = isRetryable(error);
      this.sendTo(run, { kind: 'not_answered', call, message: asError(error).message, retryable });
    }
  }

  private sendTo(run: string, message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    if (this.running?.run === run) this.send(message, transfer);
  }

  private checkMemory(run: string): void {
    const { heap_mb_max } = this.options;
    this.worker.getHeapStatistics().then(
      ({ external_memory }) => {
        if (this.running?.run !== run || external_memory <= heap_mb_max * BYTES_PER_MB) return;
        this.die(new Error(`it took more than ${heap_mb_max} MB`));
      },
      (error: unknown) => {
        // Still starting, or just ended: its end is told by `exit`.
        if (isNotRunning(error)) return;
        if (this.running?.run === run) this.die(asError(error));
      },
    );
  }

  private die(error: Error): void {
    this.last_error = error;
    if (!this.dead) void this.worker.terminate();
    this.exited(1);
  }

  private exited(code: number): void {
    const why = this.last_error?.message ?? `it ended its thread (exit ${code})`;
    this.finish({ kind: 'fault', error: taskFault('worker_failed', `the worker did not survive: ${why}`, true) });
    this.bury();
  }

  private finish(outcome: ThreadOutcome): void {
    const { running } = this;
    if (!running) return;
    this.running = undefined;
    for (const timer of running.timers) clearTimeout(timer);
    running.settle(running.stopping ?? outcome);
  }

  private bury(): void {
    if (this.dead) return;
    this.dead = true;
    this.onDeath(this);
  }
}

const timedOut = (after_ms: number): ThreadOutcome => {
  const message = `the worker was not done at the deadline, after ${(after_ms / 1_000).toFixed(1)} s`;
  return { kind: 'fault', error: taskFault('worker_timed_out', message, true) };
};
