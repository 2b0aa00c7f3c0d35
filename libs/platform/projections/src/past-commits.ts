// Past commits: what a rebuild reads, from the beginning of each stream on, a batch at a time.
//
//   Q1. Every commit of a stream comes once and in order, up to where it is asked to.
//   Q2. While a batch is opened and folded, the next is read and its keys are fetched.
//   Q3. Reading and opening give way to whatever else waits for the event loop, after each slice.

import { setImmediate as turn } from 'node:timers/promises';
import type { FeedCommit, Interest } from './feed-commit.js';
import type { LogFeed } from './log-feed.js';
import type { OpenCommit } from './projection.js';

/** Their keys are fetched together. */
const BATCH_MAX = 512;
/** Few enough that what was opened is garbage again while it is young, which costs the least. */
const OPENED_MAX = 128;
const SLICE_MS = 1;

/** `commits` of the log, of which `wanted` may be of use. */
export type PastBatch = Readonly<{ commits: readonly FeedCommit[]; wanted: readonly FeedCommit[] }>;
type Read = Readonly<{ batch: PastBatch } | { error: unknown }>;

class Slice {
  private began_ms = performance.now();

  /** At once, as long as the slice is not over. */
  giveWay(): void | Promise<void> {
    return performance.now() - this.began_ms < SLICE_MS ? undefined : this.next();
  }

  private async next(): Promise<void> {
    await turn();
    this.began_ms = performance.now();
  }
}

export class PastCommits {
  private readonly sources = new Map<number, AsyncGenerator<FeedCommit, void, void>>();

  constructor(
    private readonly feed: LogFeed,
    private readonly interest: Interest,
    private readonly signal: AbortSignal,
  ) {}

  /** As many commits as are asked for, after those that were read of this stream before. */
  async *read(stream: number, count: number): AsyncGenerator<PastBatch, void, void> {
    let ahead = this.begin(stream, count);
    for (let left = count; left > 0;) {
      const read = await ahead;
      if ('error' in read) throw read.error;
      left -= read.batch.commits.length;
      ahead = this.begin(stream, left);
      yield read.batch;
    }
  }

  /** Some of a batch at a time. */
  async *open({ wanted }: PastBatch): AsyncGenerator<readonly OpenCommit[], void, void> {
    const slice = new Slice();
    for (let from = 0; from < wanted.length; from += OPENED_MAX) {
      const open: OpenCommit[] = [];
      for (const commit of wanted.slice(from, from + OPENED_MAX)) {
        const events = await this.interest.eventsOf(commit);
        if (events.length > 0) open.push({ commit, events });
        await slice.giveWay();
      }
      if (open.length > 0) yield open;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.sources.values()].map((source) => source.return()));
  }

  /** A failure is kept for whoever comes for the batch. */
  private begin(stream: number, left: number): Promise<Read> {
    return this.readSome(stream, Math.min(BATCH_MAX, left)).then(
      (batch) => ({ batch }),
      (error: unknown) => ({ error }),
    );
  }

  private async readSome(stream: number, count: number): Promise<PastBatch> {
    const source = this.sources.get(stream) ?? this.feed.readBehind(stream, 1, this.signal);
    this.sources.set(stream, source);
    const slice = new Slice();
    const commits: FeedCommit[] = [];
    while (commits.length < count) {
      const { value, done } = await source.next();
      this.signal.throwIfAborted();
      if (done) throw new Error('the rebuild was broken off');
      commits.push(value);
      await slice.giveWay();
    }
    const wanted = commits.filter((commit) => this.interest.mayHave(commit));
    await this.feed.fetchKeys(wanted);
    return { commits, wanted };
  }
}
