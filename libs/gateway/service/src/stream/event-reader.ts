// One reader of the event stream
//
//   R1. A reader gets every wanted event behind its position exactly once, in the order of the log, whether it lies in
//       the log already or comes while the connection is open.
//   R2. What waits for a reader is bounded: it is given more only when it has taken what it has. One that takes
//       nothing for too long is dropped, and told so.
//   R3. A position of another incarnation, or behind the end of the log, names nothing here: the reader is told to
//       start anew.

import { encodePosition, type Commit, type Place, type PositionVector } from '@nexusmon/event-log';
import { WHOLE_COMMIT, type LogFeed } from '@nexusmon/projections';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { shownOf, type EventFilter } from './event-filter.js';
import { commentText, frameText, retryText } from './frames.js';

const COMMITS_AT_ONCE = 64;
const RETRY_MS = 2_000;

/** The last event of a stream that we end, and why. */
export type Farewell = Readonly<{ event: 'dropped' | 'closed'; code: string; detail: string }>;

const SLOW: Farewell = { event: 'dropped', code: 'slow-reader', detail: 'events were not read as fast as they came' };
const FAILED: Farewell = {
  event: 'closed',
  code: 'internal-fault',
  detail: 'the stream failed; resume with the last id',
};

export type ReaderOptions = Readonly<{
  feed: LogFeed;
  wanted: EventFilter;
  response: ServerResponse;
  heartbeat_ms: number;
  /** Written and not yet taken by the network. Above it the reader gets nothing more until it has taken all. */
  unread_bytes_max: number;
  /** How long a reader may leave something of that untaken, and how long it may take over the last event. */
  patience_ms: number;
}>;

type Beginning = Readonly<{ places: Map<number, Place>; reset: boolean }>;

type StreamStanding = ReturnType<LogFeed['identities']>[number];

/** How far the log is known to reach. While the feed is starting it has not yet come to where the log stood. */
const reachOf = (feed: LogFeed, { number, last_sequence }: StreamStanding): number =>
  Math.max(feed.dispatchedOf(number), last_sequence);

/** Whether a place is one of this log's: another process may have seen more of it than this one has. */
const isKnown = async (feed: LogFeed, stream: number, { incarnation, sequence }: Place): Promise<boolean> => {
  const standing = feed.identities().find(({ number }) => number === stream);
  if (standing?.incarnation !== incarnation) return false;
  return sequence <= reachOf(feed, standing) || (await feed.at(stream, sequence)) !== undefined;
};

const beginningOf = async (from: PositionVector | 'start' | undefined, feed: LogFeed): Promise<Beginning> => {
  const at = (sequenceOf: (stream: StreamStanding) => number) =>
    new Map(
      feed.identities().map((stream) => {
        const { number, incarnation } = stream;
        return [number, { incarnation, sequence: sequenceOf(stream), index: WHOLE_COMMIT }];
      }),
    );
  if (from === 'start') return { places: at(() => 0), reset: false };
  const now = at((stream) => reachOf(feed, stream));
  if (from === undefined) return { places: now, reset: false };
  const known = await Promise.all([...from].map(([stream, place]) => isKnown(feed, stream, place)));
  // A position need not name every stream: where it says nothing, the stream begins now.
  return known.includes(false) ? { places: now, reset: true } : { places: new Map([...now, ...from]), reset: false };
};

export class EventReader {
  private readonly abort = new AbortController();
  private places = new Map<number, Place>();
  private ended = false;

  constructor(private readonly options: ReaderOptions) {
    options.response.once('close', () => this.stop());
  }

  /** Settles when the stream has ended, whoever ended it. Throws what made it fail, after the reader has been told. */
  async run(from: PositionVector | 'start' | undefined): Promise<void> {
    const heartbeat = setInterval(() => this.write(commentText('heartbeat')), this.options.heartbeat_ms);
    try {
      await this.follow(from);
    } catch (error) {
      this.end(FAILED);
      throw error;
    } finally {
      clearInterval(heartbeat);
    }
  }

  private async follow(from: PositionVector | 'start' | undefined): Promise<void> {
    const { feed } = this.options;
    const { places, reset } = await beginningOf(from, feed);
    this.places = places;
    this.greet(reset);
    // The first commit is read again where a part of it is still due.
    const after = new Map(
      [...places].map(([stream, { sequence, index }]) => [stream, index < WHOLE_COMMIT ? sequence - 1 : sequence]),
    );
    const follower = feed.follow(after, { patient: false });
    this.abort.signal.addEventListener('abort', () => follower.close(), { once: true });
    try {
      while (!this.ended) for (const commit of await follower.take(COMMITS_AT_ONCE)) await this.deliver(commit);
    } finally {
      follower.close();
    }
  }

  /** Ends the stream with a last event that says why. */
  end({ event, code, detail }: Farewell): void {
    if (this.ended) return;
    const { response, patience_ms } = this.options;
    response.end(frameText({ event, data: { code, detail, position: encodePosition(this.places) } }));
    const linger = setTimeout(() => response.destroy(), patience_ms);
    response.once('close', () => clearTimeout(linger));
    this.stop();
  }

  /** An id without data moves the client's Last-Event-ID and nothing else: it resumes here even if nothing came. */
  private greet(reset: boolean): void {
    const position = encodePosition(this.places);
    this.write(`${retryText(RETRY_MS)}id: ${position}\n\n`);
    if (reset) this.write(frameText({ event: 'reset', data: { code: 'position-unknown', position } }));
  }

  private async deliver(commit: Commit): Promise<void> {
    const { number, incarnation } = commit.stream;
    const { sequence } = commit;
    const at = this.places.get(number);
    if (this.ended || (at && sequence < at.sequence)) return;
    const after_index = at?.sequence === sequence ? at.index : -1;
    const position = (index: number) =>
      encodePosition(new Map([...this.places, [number, { incarnation, sequence, index }]]));
    for (const { document } of await shownOf(commit, this.options.wanted, position, after_index))
      this.write(frameText({ id: document.position, data: document }));
    this.places.set(number, { incarnation, sequence, index: WHOLE_COMMIT });
    if (this.options.response.writableLength > this.options.unread_bytes_max) await this.drained();
  }

  private async drained(): Promise<void> {
    const { response, patience_ms } = this.options;
    const signal = AbortSignal.any([this.abort.signal, AbortSignal.timeout(patience_ms)]);
    try {
      await once(response, 'drain', { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      this.end(SLOW);
    }
  }

  private write(text: string): void {
    if (!this.ended) this.options.response.write(text);
  }

  private stop(): void {
    this.ended = true;
    this.abort.abort();
  }
}
