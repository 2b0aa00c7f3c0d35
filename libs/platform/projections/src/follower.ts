// Follower: one reader's place in the feed. See F1 and F3 in log-feed.ts.
//
// A follower is live in a stream while the feed offers it the commit that it wants next. One that did not take in time
// is behind: it reads on by itself until it has passed what the feed has handed out, and is live again from there.

import type { FeedCommit } from './feed-commit.js';

export interface Feed {
  dispatchedOf(stream: number): number;
  readBehind(stream: number, from: number, signal: AbortSignal): AsyncGenerator<FeedCommit, void, void>;
  forget(follower: Follower): void;
}

const QUEUED_MAX = 1_024;
/** As long as it takes something at least this often, the feed waits for it. */
const PATIENCE_MS = 1_000;

type CatchUp = Readonly<{ commits: AsyncGenerator<FeedCommit, void, void>; abort: AbortController }>;

export class Follower {
  /** The last commit of each stream that was not wanted, where nothing before it waited to be taken. */
  readonly passed = new Map<number, FeedCommit>();
  private queue: FeedCommit[] = [];
  private readonly behind = new Set<number>();
  private readonly catching = new Map<number, CatchUp>();
  private fault: Error | undefined;
  private closed = false;
  private wake: (() => void) | undefined;
  private waiting: (() => void)[] = [];

  constructor(
    private readonly feed: Feed,
    private readonly next: Map<number, number>,
    /** Whether the feed waits for it before it lets it fall behind. */
    private readonly patient: boolean,
    /** What it need not be woken for. Of what it has to read on by itself it is given everything. */
    private readonly wants: (commit: FeedCommit) => boolean = () => true,
  ) {
    for (const [stream, sequence] of next) if (sequence <= feed.dispatchedOf(stream)) this.behind.add(stream);
  }

  nextOf(stream: number): number {
    return this.next.get(stream) ?? 1;
  }

  /** How many commits wait to be taken, of those that were handed over. */
  get queued(): number {
    return this.queue.length;
  }

  /** False when there is no room for it just now. */
  offer(stream: number, commit: FeedCommit): boolean {
    const next = this.nextOf(stream);
    if (this.closed || this.behind.has(stream) || commit.sequence < next) return true;
    if (commit.sequence > next) {
      this.fallBehind(stream);
      return true;
    }
    if (this.queue.length >= QUEUED_MAX) return false;
    this.next.set(stream, next + 1);
    if (this.queue.length === 0 && !this.wants(commit)) {
      this.passed.set(stream, commit);
      return true;
    }
    this.queue.push(commit);
    this.wakeUp();
    return true;
  }

  /** The last offer of this commit: what does not fit now is read again later. */
  insist(stream: number, commit: FeedCommit): void {
    if (!this.offer(stream, commit)) this.fallBehind(stream);
  }

  /** Until something is taken, or patience is over. */
  room(): Promise<void> {
    if (!this.patient || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      this.waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The next commits, at least one, as soon as there is one; none once it is closed. Throws what halted the feed. */
  async take(max: number): Promise<FeedCommit[]> {
    for (;;) {
      if (this.closed) return [];
      if (this.queue.length > 0) return this.taken(max);
      const [stream] = this.behind;
      if (stream !== undefined) {
        const commits = await this.catchUp(stream, max);
        if (commits.length > 0) return commits;
      } else {
        if (this.fault) throw this.fault;
        await this.sleep();
      }
    }
  }

  halt(fault: Error): void {
    this.fault = fault;
    this.wakeUp();
  }

  /** Begins again after these sequences: another process has moved the place meanwhile. */
  reset(after: ReadonlyMap<number, number>): void {
    this.queue = [];
    for (const [stream, sequence] of after) {
      this.endCatchUp(stream);
      this.next.set(stream, sequence + 1);
      this.fallBehind(stream);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.queue = [];
    for (const stream of [...this.catching.keys()]) this.endCatchUp(stream);
    this.feed.forget(this);
    this.makeRoom();
    this.wakeUp();
  }

  private taken(max: number): FeedCommit[] {
    const commits = this.queue.length <= max ? this.queue : this.queue.slice(0, max);
    this.queue = this.queue.length <= max ? [] : this.queue.slice(max);
    this.makeRoom();
    return commits;
  }

  private makeRoom(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  private fallBehind(stream: number): void {
    this.behind.add(stream);
    this.wakeUp();
  }

  private async catchUp(stream: number, max: number): Promise<FeedCommit[]> {
    const commits: FeedCommit[] = [];
    while (commits.length < max && !this.closed) {
      // Nothing is awaited between this look and being live again, so the feed cannot slip a commit past.
      if (this.nextOf(stream) > this.feed.dispatchedOf(stream)) {
        this.behind.delete(stream);
        this.endCatchUp(stream);
        break;
      }
      const { commits: source } = this.catching.get(stream) ?? this.beginCatchUp(stream);
      const read = await source.next();
      if (read.done) break;
      this.next.set(stream, read.value.sequence + 1);
      commits.push(read.value);
    }
    return this.closed ? [] : commits;
  }

  private beginCatchUp(stream: number): CatchUp {
    const abort = new AbortController();
    const begun = { abort, commits: this.feed.readBehind(stream, this.nextOf(stream), abort.signal) };
    this.catching.set(stream, begun);
    return begun;
  }

  private endCatchUp(stream: number): void {
    const found = this.catching.get(stream);
    this.catching.delete(stream);
    found?.abort.abort();
    void found?.commits.return();
  }

  private sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private wakeUp(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}
