// Own commits of one stream: what the event logs of this process have appended, told as each append is acknowledged.
//
//   O1. A commit is told by its log or read from the stream, never taken on trust from anybody else: it is the message
//       that was acknowledged under this sequence.
//   O2. While a commit of another process was seen within `SHARED_MS`, or was never claimed, nobody can say what comes
//       next but the stream itself.
//   O3. Memory is bounded: what is told and not taken for long is forgotten, and read from the stream again.

import type { FeedCommit } from './feed-commit.js';

const WAITING_MAX = 4_096;
const UNCLAIMED_MAX = 1_024;
const SHARED_MS = 10_000;

export class OwnCommits {
  private readonly waiting = new Map<number, FeedCommit>();
  /** Commits that were read before, or without, being told; with the time of it, the oldest first. */
  private readonly unclaimed = new Map<number, number>();
  private highest = 0;
  private wake: (() => void) | undefined;

  /** `dispatched`: how far the stream has been handed out. */
  add(commit: FeedCommit, dispatched: number): void {
    const { sequence } = commit;
    this.unclaimed.delete(sequence);
    if (sequence <= dispatched) return;
    if (this.waiting.size >= WAITING_MAX) this.waiting.clear(); // O3
    this.waiting.set(sequence, commit);
    if (sequence > this.highest) this.highest = sequence;
    this.wake?.();
  }

  take(sequence: number): FeedCommit | undefined {
    const commit = this.waiting.get(sequence);
    this.waiting.delete(sequence);
    return commit;
  }

  /** It came from the stream, and nobody here has told of it yet. */
  readUntold(sequence: number): void {
    this.unclaimed.set(sequence, performance.now());
    for (const [oldest] of this.unclaimed) {
      if (this.unclaimed.size <= UNCLAIMED_MAX) break;
      this.unclaimed.delete(oldest);
    }
  }

  /** Whether this process seems to write alone (O2). */
  get alone(): boolean {
    const before_ms = performance.now() - SHARED_MS;
    for (const [sequence, since_ms] of this.unclaimed) {
      if (since_ms > before_ms) return false;
      this.unclaimed.delete(sequence);
    }
    return true;
  }

  /** Whether more has been told than was handed out. */
  isPast(dispatched: number): boolean {
    return this.highest > dispatched;
  }

  has(sequence: number): boolean {
    return this.waiting.has(sequence);
  }

  /** Until the next one is told; false when none is in this time. */
  next(within_ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (told: boolean) => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve(told);
      };
      const timer = setTimeout(() => end(false), within_ms);
      this.wake = () => end(true);
    });
  }

  /** Whoever waits looks again. */
  interrupt(): void {
    this.wake?.();
  }
}
