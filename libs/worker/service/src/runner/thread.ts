// One worker thread, seen from the runner.
//
//   D1. One task at a time. What it is asked ends exactly once: with what the worker gave, or with why it gave nothing.
//   D2. At the deadline the worker is told; a moment later the thread is ended, whatever it is doing. A thread whose
//       task was told to stop is never used again: what that task left running would run beside the next.
//   D3. A thread that dies (an exit, an uncaught error, no memory left) takes one task with it and nothing else.
//   D4. A worker finds no environment there but PATH, and may print: its lines are counted, not passed on.
//   D5. While its tasks are short, some more may lie in it and wait for the one before: it goes on without waiting for
//       the runner to hear of each. Those that have not begun can be taken back at any moment, and are when the one
//       before takes long, is stopped, or takes its thread with it: nothing has happened to them.

import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import type { TaskError } from '@nexusmon/worker-contract';
import { taskFault } from './fault.js';
import { fromThread, type FromThread, type ThreadSetup, type ToThread } from './thread-messages.js';
import { TURNS, Turns } from './turns.js';

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
/** How many tasks may lie in a thread, the one that runs included. */
const HELD_MAX = 16;
/** Tasks are short while they take less than this. */
const SHORT_MS = 2;
/** Before anything is known of them, and after that how much the last one counts. */
const USUAL_MS = 100;
const LAST_SHARE = 0.3;

export type ThreadOptions = Omit<ThreadSetup, 'turns'> &
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

/** Taken back before it began (D5): it may be handed to another thread. */
export type ThreadEnd = ThreadOutcome | Readonly<{ kind: 'not_begun' }>;
export type ThreadRun = Readonly<{ outcome: Promise<ThreadEnd>; stop: () => void }>;

type Held = {
  readonly run: string;
  readonly turn: number;
  readonly task: ThreadTask;
  readonly settle: (outcome: ThreadEnd) => void;
  /** Whether another was before it when it was handed over. */
  readonly ahead: boolean;
  readonly deadline: NodeJS.Timeout;
  grace: NodeJS.Timeout | undefined;
  /** Since when none is before it. */
  since_ms: number;
  /** What the outcome is once the thread has stopped: decided when it was told to. */
  stopping: ThreadOutcome | undefined;
};

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
const isNotRunning = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_WORKER_NOT_RUNNING';
const isRetryable = (error: unknown) => !(error instanceof Error && 'retryable' in error && error.retryable === false);

export class Thread {
  private readonly worker: Worker;
  /** In the order in which they were handed over. The first runs. */
  private readonly held: Held[] = [];
  private readonly turns = new Turns();
  private last_turn = 0;
  private usual_ms = USUAL_MS;
  private memory_check: NodeJS.Timeout | undefined;
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
      workerData: { modules, allowed_roots, forbidden_roots, turns: this.turns.buffer } satisfies ThreadSetup,
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
    return !this.dead && this.held.length === 0;
  }

  /** How long the present task has run; 0 when there is none. */
  get busy_ms(): number {
    return this.running ? performance.now() - this.running.since_ms : 0;
  }

  /** How many tasks wait in it for the one before them. */
  get ahead(): number {
    return Math.max(0, this.held.length - 1);
  }

  /** How many more it may be handed. */
  get room(): number {
    const { running } = this;
    if (this.dead || !this.loaded || !running) return this.idle ? 1 : 0;
    const window_left = TURNS - 1 - (this.last_turn - running.turn);
    if (running.stopping || this.usual_ms > SHORT_MS || this.busy_ms > SHORT_MS * HELD_MAX) return 0;
    return Math.max(0, Math.min(HELD_MAX - this.held.length, window_left));
  }

  run(task: ThreadTask): ThreadRun {
    if (this.room === 0) throw new Error('a thread was handed more than it may hold');
    const { promise: outcome, resolve: settle } = Promise.withResolvers<ThreadEnd>();
    const late_in_ms = Math.max(0, task.deadline_ms - Date.now());
    const held: Held = {
      run: randomUUID(),
      turn: (this.last_turn += 1),
      task,
      settle,
      ahead: this.held.length > 0,
      deadline: setTimeout(() => this.stopOne(held, timedOut(late_in_ms), { kind: 'not_begun' }), late_in_ms),
      grace: undefined,
      since_ms: performance.now(),
      stopping: undefined,
    };
    this.held.push(held);
    this.turns.offer(held.turn);
    const { worker, task: asked, egress, output_bytes_max } = task;
    this.send({ kind: 'run', run: held.run, turn: held.turn, worker, task: asked, egress, output_bytes_max });
    this.watchMemory();
    return { outcome, stop: () => this.stopOne(held, STOPPED, STOPPED) };
  }

  /** Tasks that wait here behind another, and have not begun, go back to whoever handed them over (D5). */
  takeBack(): void {
    for (const held of this.held.slice(1)) if (this.turns.takeBack(held.turn)) this.settle(held, { kind: 'not_begun' });
  }

  /**
   * Tells the worker to stop, and ends the thread when it does not: `outcome` is what is said of the task then (D2).
   * One that waits behind another is taken back, and ends as `unbegun`.
   */
  private stopOne(held: Held, outcome: ThreadOutcome, unbegun: ThreadEnd): void {
    if (!this.held.includes(held) || held.stopping) return;
    if (held !== this.running && this.turns.takeBack(held.turn)) {
      this.settle(held, unbegun);
      return;
    }
    held.stopping = outcome;
    this.takeBack();
    const why = outcome.kind === 'fault' ? outcome.error.message : 'the attempt was stopped';
    this.send({ kind: 'abort', run: held.run, why });
    held.grace = setTimeout(() => this.end(), STOP_GRACE_MS);
  }

  private get running(): Held | undefined {
    return this.held[0];
  }

  /** Ends the thread at once. Not waited for: a thread in a system call ends when that returns. */
  end(): void {
    if (!this.dead) void this.worker.terminate();
    this.endAll(STOPPED);
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
        return this.answered(running, { kind: 'output', text: message.text }, message.took_ms);
      case 'failed': {
        const { code, message: why, retryable, took_ms } = message;
        return this.answered(running, { kind: 'fault', error: taskFault(code, why, retryable) }, took_ms);
      }
      case 'put_artifact':
      case 'get_artifact':
        return void this.answer(running, message);
      case 'progress':
        return running.task.progress(message.message, message.fraction);
    }
  }

  private answered(running: Held, outcome: ThreadOutcome, took_ms: number): void {
    this.usual_ms += (took_ms - this.usual_ms) * LAST_SHARE;
    this.settle(running, outcome);
    if (running.stopping) this.end();
  }

  private async answer(
    { run, task }: Held,
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

  private watchMemory(): void {
    const check = () => {
      if (this.running) this.checkMemory(this.running.run);
      else this.endMemoryCheck();
    };
    this.memory_check ??= setInterval(check, this.options.memory_check_ms ?? MEMORY_CHECK_MS).unref();
  }

  private endMemoryCheck(): void {
    clearInterval(this.memory_check);
    this.memory_check = undefined;
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
    this.endAll({ kind: 'fault', error: taskFault('worker_failed', `the worker did not survive: ${why}`, true) });
    this.bury();
  }

  /** D3: the one that ran ends so. One that had just begun after it, unheard of, ends with it but has not failed. */
  private endAll(outcome: ThreadOutcome): void {
    for (const [index, held] of [...this.held].entries()) {
      const waited = held.ahead && !held.stopping && this.turns.takeBack(held.turn);
      this.settle(held, waited ? { kind: 'not_begun' } : index === 0 ? outcome : CUT_SHORT);
    }
  }

  private settle(held: Held, outcome: ThreadEnd): void {
    const at = this.held.indexOf(held);
    if (at < 0) return;
    this.held.splice(at, 1);
    if (at === 0 && this.running) this.running.since_ms = performance.now();
    clearTimeout(held.deadline);
    clearTimeout(held.grace);
    held.settle(held.stopping ?? outcome);
  }

  private bury(): void {
    if (this.dead) return;
    this.dead = true;
    this.endMemoryCheck();
    this.onDeath(this);
  }
}

const STOPPED: ThreadOutcome = { kind: 'stopped' };
const CUT_SHORT: ThreadOutcome = {
  kind: 'fault',
  error: taskFault('runner_lost', 'its thread was ended because of another task', true),
};

const timedOut = (after_ms: number): ThreadOutcome => {
  const message = `the worker was not done at the deadline, after ${(after_ms / 1_000).toFixed(1)} s`;
  return { kind: 'fault', error: taskFault('worker_timed_out', message, true) };
};
