// Scrub
//
// Reads a stream from one end to the other and recomputes what ties its commits together. The server does not report
// damage: a flipped bit may silently shorten a log or leave holes, and only the chain shows it.
//
//   B1. Every sequence from the first to the end is there and is a commit of ours. A log that ends before what was read
//       earlier has lost its end.
//   B2. Every commit names the hash of its aggregate's previous commit; the first of an aggregate names none.
//   B3. Memory is bounded: hashes of aggregates not met for long are forgotten and asked of the leader again.
//   B4. It gives way, unless somebody waits for it: it holds the process for a moment at a time, and one that has much
//       to do reads on slowly, but it does read on.

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/nats-core';
import type { RequestMux } from '@nexusmon/messaging';
import { LRUCache } from 'lru-cache';
import { StoredCommit } from './commit.js';
import { CommitUnreadable } from './errors.js';
import { EventStream } from './event-stream.js';
import { incarnationOf, type Place } from './position.js';
import { readStream } from './read-stream.js';

const HASHES_MAX = 50_000;
const BUFFERED_MAX = 256;
const BUFFERED_AT_ONCE_MAX = 2_000;
/** What it takes of the processor at a time, and how long it leaves it to others then (B4): what is buffered follows
 * without a turn of the event loop, and was tens of milliseconds for whoever waited for an answer. */
const SLICE_MS = 1;
const BETWEEN_MS = 5;
/** Where somebody waits for it, others get their turn and no more. */
const SLICE_AT_ONCE_MS = 10;
/** How often progress is told, and a quiet moment waited for (B4). */
const STRIDE = 500;
const PAUSE_MS = 20;
const BUSY_SHARE = 0.5;
const BUSY_PAUSES_MAX = 100;

export type ScrubOptions = Readonly<{
  /** Of the user `reader`. */
  connection: NatsConnection;
  mux: RequestMux;
  /** Number and name of the stream. */
  stream: Readonly<{ number: number; name: string }>;
  /** The first sequence to read; what lies before was scrubbed earlier. @default 1 */
  from?: number;
  /** Does not give way: somebody waits for it (B4). */
  at_once?: boolean;
  /** Ends the scrub where it is: it can go on from there. */
  signal?: AbortSignal;
  onProgress?: (reached: Place) => void;
}>;

export type Scrubbed = Readonly<{
  /** The last sequence that was read. */
  reached: number;
  /** What is wrong, in words; empty when nothing is. */
  faults: readonly string[];
}>;

const FAULTS_MAX = 100;

export const scrub = async (options: ScrubOptions): Promise<Scrubbed> => {
  const { connection, mux, stream, from = 1, at_once = false, signal, onProgress } = options;
  const leader = new EventStream(mux, stream.number, stream.name);
  const { created, state } = await leader.info();
  const incarnation = incarnationOf(stream.name, created);
  const chain = new Chain(leader);
  const faults: string[] = [];
  let reached = from - 1;
  let held_ms = 0;
  if (reached > state.last_seq) faults.push(`${stream.name} ends at ${state.last_seq} and has had ${reached} messages`);
  if (reached >= state.last_seq) return { reached, faults };

  const buffered_max = at_once ? BUFFERED_AT_ONCE_MAX : BUFFERED_MAX;
  for await (const message of readStream({ connection, leader, from, to: state.last_seq, buffered_max, signal })) {
    const began = performance.now();
    if (message.seq !== reached + 1) faults.push(`${stream.name} has no message ${reached + 1}`);
    reached = message.seq;
    const fault = await chain.follow(message);
    if (fault !== undefined) faults.push(fault);
    if (faults.length >= FAULTS_MAX) break;
    held_ms += performance.now() - began;
    if (held_ms >= (at_once ? SLICE_AT_ONCE_MS : SLICE_MS)) {
      await (at_once ? turn() : pause(BETWEEN_MS));
      held_ms = 0;
    }
    if (reached % STRIDE !== 0) continue;
    onProgress?.({ incarnation, sequence: reached, index: 0 });
    if (!at_once) await untilQuiet(signal);
  }
  const ended = reached >= state.last_seq || faults.length >= FAULTS_MAX || signal?.aborted;
  if (!ended) faults.push(`${stream.name} has no message ${reached + 1}`);
  onProgress?.({ incarnation, sequence: reached, index: 0 });
  return { reached, faults };
};

/** Until the process had less to do for the length of a pause, but not for ever. */
const untilQuiet = async (signal: AbortSignal | undefined): Promise<void> => {
  for (let pauses = 0; pauses < BUSY_PAUSES_MAX && !signal?.aborted; pauses += 1) {
    const before = performance.eventLoopUtilization();
    await pause(PAUSE_MS);
    if (performance.eventLoopUtilization(before).utilization < BUSY_SHARE) return;
  }
};

/** Follows each aggregate's chain through the stream. */
export class Chain {
  private readonly hashes = new LRUCache<string, string>({ max: HASHES_MAX });

  constructor(private readonly leader: EventStream) {}

  async follow(message: ConstructorParameters<typeof StoredCommit>[0]): Promise<string | undefined> {
    try {
      const commit = new StoredCommit(message);
      const { subject, previous, sequence, hash, stored } = commit;
      if (stored.some((event) => event.subject !== commit.id)) return `commit ${sequence} on ${subject} is of another`;
      const known = this.hashes.get(subject) ?? (await this.before(commit));
      this.hashes.set(subject, hash);
      return previous === known ? undefined : `commit ${sequence} on ${subject} does not follow the one before it`;
    } catch (error) {
      if (error instanceof CommitUnreadable) return error.message;
      throw error;
    }
  }

  /** Hash of the commit that this one was appended after, as the leader has it. */
  private async before({ expected }: StoredCommit): Promise<string> {
    if (expected === 0) return '';
    const message = await this.leader.at(expected);
    return message ? new StoredCommit(message).hash : 'missing';
  }
}
