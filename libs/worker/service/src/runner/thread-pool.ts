// The threads of one runner.
//
//   L1. Never more than `threads_max` live threads, so never more than that many tasks at once.
//   L2. A few threads are kept while there is work; more are started, one by one, only when a task has waited for one.
//       Short tasks so share a few warm threads, and a long one gets a thread to itself. Each costs some 25 MB: when
//       there is nothing to do one stays warm for a while, and then none does.
//   L3. A task never waits behind a running one for longer than it takes to start a thread, as long as L1 allows. Where
//       it does not, the task waits for a while and is then given back: it never began, so it did not fail.
//   L4. While tasks are short, threads are handed some ahead, so that neither side waits for the other after each. What
//       lies behind one that takes long after all is taken back within `AHEAD_MS_MAX`, and waits as if it never left.

import { taskFault } from './fault.js';
import { Thread, type ThreadOptions, type ThreadOutcome, type ThreadRun, type ThreadTask } from './thread.js';

/**
 * Starting a thread costs about as much as a hundred short tasks: a busy one is given this long to become free. On a
 * machine with much else to do a short task takes a good part of it, for all it needs is a turn of the processor.
 */
const START_AFTER_MS = 150;
const GROWTH_CHECK_MS = 5;
const AHEAD_MS_MAX = 25;
/** A thread that is not the last ends when it had nothing to do for this long. */
const IDLE_MS = 10_000;
/** The last one too, after this long: the task that then comes waits for a tenth of a second. */
const LAST_IDLE_MS = 20_000;

export type PoolOptions = ThreadOptions &
  Readonly<{
    threads_max: number;
    threads_kept: number;
    /** @default WAIT_MS */
    wait_ms?: number;
    /** @default LAST_IDLE_MS */
    last_idle_ms?: number;
  }>;

/** How long a task waits while every thread that there may be is held by a long one. */
const WAIT_MS = 5_000;

/** It waited for a thread until its time was up: the worker never began, so it did not fail. */
const TOO_LATE: ThreadOutcome = {
  kind: 'fault',
  error: taskFault('runner_lost', 'no thread was free in time', true),
};

export type PooledRun = Readonly<{ outcome: Promise<ThreadOutcome>; stop: () => void }>;

type Waiting = Readonly<{ since_ms: number; begin: (thread: Thread) => void; end: (outcome: ThreadOutcome) => void }>;

export class ThreadPool {
  private readonly threads = new Set<Thread>();
  private readonly idle: Thread[] = [];
  private readonly retirements = new Map<Thread, NodeJS.Timeout>();
  private readonly waiting: Waiting[] = [];
  private growth: NodeJS.Timeout | undefined;
  private ahead_check: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: PoolOptions) {
    const { threads_max, threads_kept } = options;
    if (threads_kept > threads_max) throw new RangeError('more threads kept than allowed');
    // One is warm when the first task comes; the others start when they are needed.
    this.release(this.startThread());
  }

  run(task: ThreadTask): PooledRun {
    if (this.closed) throw new Error('the pool is closed');
    const { promise, resolve } = Promise.withResolvers<ThreadOutcome>();
    let given: ThreadRun | undefined;
    let stopped = false;
    const begin = (thread: Thread) => {
      if (Date.now() >= task.deadline_ms) {
        resolve(TOO_LATE);
        this.release(thread);
        return;
      }
      given = thread.run(task);
      void given.outcome.then((end) => {
        given = undefined;
        this.release(thread);
        if (end.kind !== 'not_begun') resolve(end);
        else if (this.closed || stopped) resolve({ kind: 'stopped' });
        else this.queue(waiting);
      });
    };
    const waiting: Waiting = { since_ms: performance.now(), begin, end: resolve };
    this.queue(waiting);
    const stop = () => {
      stopped = true;
      if (given) given.stop();
      else if (this.unqueue(waiting)) resolve({ kind: 'stopped' });
    };
    return { outcome: promise, stop };
  }

  /** How many threads there are just now. */
  get size(): number {
    return this.threads.size;
  }

  /** Ends every thread. What still ran ends as stopped. */
  close(): void {
    this.closed = true;
    clearTimeout(this.growth);
    clearTimeout(this.ahead_check);
    for (const timer of this.retirements.values()) clearTimeout(timer);
    for (const { end } of this.waiting.splice(0)) end({ kind: 'stopped' });
    for (const thread of [...this.threads]) thread.end();
  }

  /** In the order in which they came first: one that was taken back stands before those that came after it. */
  private queue(waiting: Waiting): void {
    const after = this.waiting.findLastIndex(({ since_ms }) => since_ms <= waiting.since_ms);
    this.waiting.splice(after + 1, 0, waiting);
    this.dispatch();
  }

  private unqueue(waiting: Waiting): boolean {
    const index = this.waiting.indexOf(waiting);
    if (index >= 0) this.waiting.splice(index, 1);
    return index >= 0;
  }

  private dispatch(): void {
    while (this.waiting.length > 0) {
      const thread =
        this.takeIdle() ??
        (this.threads.size < this.options.threads_kept ? this.startThread() : undefined) ??
        this.roomiest();
      if (!thread) break;
      this.waiting.shift()?.begin(thread);
    }
    if (this.waiting.length > 0) this.growSoon();
    this.watchAhead();
  }

  /** A thread of short tasks that may hold one more, where all are busy (L4). */
  private roomiest(): Thread | undefined {
    let found: Thread | undefined;
    for (const thread of this.threads) if (thread.room > (found?.room ?? 0)) found = thread;
    return found;
  }

  /** What lies behind a task that takes long after all is handed to another thread (L4). */
  private watchAhead(): void {
    if (this.ahead_check || ![...this.threads].some(({ ahead }) => ahead > 0)) return;
    const look = () => {
      this.ahead_check = undefined;
      for (const thread of this.threads) if (thread.busy_ms >= AHEAD_MS_MAX) thread.takeBack();
      if (!this.closed) this.watchAhead();
    };
    // As below: after a turn in which threads are heard.
    this.ahead_check = setTimeout(() => setImmediate(look), AHEAD_MS_MAX);
  }

  /** Only for a task that has waited: under a steady stream of short ones somebody always waits, and never for long. */
  private growSoon(): void {
    const [first] = this.waiting;
    if (!first || this.growth) return;
    const grow = () => {
      if (this.closed) return;
      this.growth = undefined;
      const [next] = this.waiting;
      if (next && performance.now() - next.since_ms >= START_AFTER_MS && this.mayGrow()) {
        this.waiting.shift();
        next.begin(this.startThread());
      }
      if (this.threads.size >= this.options.threads_max)
        this.giveUp(performance.now() - (this.options.wait_ms ?? WAIT_MS));
      this.dispatch();
    };
    // After a turn in which threads are heard: a pause of the collector would have made all of them look busy.
    const heard = () => setImmediate(grow);
    this.growth = setTimeout(heard, Math.max(GROWTH_CHECK_MS, first.since_ms + START_AFTER_MS - performance.now()));
  }

  /** Those who have waited since before then, in the order in which they came. */
  private giveUp(before_ms: number): void {
    for (let [first] = this.waiting; first && first.since_ms < before_ms; [first] = this.waiting) {
      this.waiting.shift();
      first.end(TOO_LATE);
    }
  }

  /**
   * Only when every thread is held by a long task. Under a stream of short ones another would add nothing but its
   * memory, and while one is starting it may turn out to be enough.
   */
  private mayGrow(): boolean {
    if (this.threads.size >= this.options.threads_max) return false;
    return [...this.threads].every(({ starting, busy_ms }) => !starting && busy_ms >= START_AFTER_MS);
  }

  private startThread(): Thread {
    const thread = new Thread(this.options, (dead) => this.forget(dead));
    this.threads.add(thread);
    return thread;
  }

  private takeIdle(): Thread | undefined {
    const thread = this.idle.pop();
    if (thread) this.keep(thread);
    return thread;
  }

  private release(thread: Thread): void {
    if (!thread.idle || !this.threads.has(thread)) {
      this.dispatch();
      return;
    }
    this.idle.push(thread);
    const { last_idle_ms = LAST_IDLE_MS } = this.options;
    const end = () => thread.end();
    const retire = () => {
      if (this.threads.size > 1) end();
      else this.retirements.set(thread, setTimeout(end, Math.max(0, last_idle_ms - IDLE_MS)).unref());
    };
    this.retirements.set(thread, setTimeout(retire, Math.min(IDLE_MS, last_idle_ms)).unref());
    this.dispatch();
  }

  private keep(thread: Thread): void {
    clearTimeout(this.retirements.get(thread));
    this.retirements.delete(thread);
  }

  private forget(thread: Thread): void {
    this.threads.delete(thread);
    this.keep(thread);
    const index = this.idle.indexOf(thread);
    if (index >= 0) this.idle.splice(index, 1);
    if (!this.closed) this.dispatch();
  }
}
