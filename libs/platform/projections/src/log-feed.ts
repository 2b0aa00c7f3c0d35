// Log feed
//
// One reader per process and stream, from which everybody in the process takes: projections, reactors, live listeners.
//
//   F1. A follower gets every commit after its start exactly once and in the order of its stream. There is no order
//       across streams.
//   F2. A commit is parsed once, and only if somebody asks what is in it.
//   F3. Nobody holds up the others for long: who does not take what is offered falls behind, reads on by itself, and
//       rejoins when it has caught up.
//   F4. What halts the reader halts every follower, with the reason.
//   F5. A hole, another stream or a message that is no commit is damage: whoever writes to this log is told at once,
//       and stops. An event of unknown version is none: it was written by newer code.
//   F6. A process that writes all there is to write feeds itself: its event logs tell of each commit as it is
//       acknowledged, and the stream is only asked now and then whether somebody else has written. As soon as a
//       sequence is missing, the stream is read again, from exactly there. What the stream makes of a commit after its
//       acknowledgement is then no business of the feed: the scrub sees it, which goes on from where it ended.

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import {
  Catalogues,
  decodePosition,
  encodePosition,
  type CommitUnreadable,
  type LogMessage,
  type OwnMessage,
  type Position,
  type PositionVector,
  type StreamIdentity,
} from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import { gauge, type Logger } from '@nexusmon/telemetry';
import { FeedCommit, OwnCommit, type Feeding, type Readable } from './feed-commit.js';
import { Follower, type Feed } from './follower.js';
import { LogHalted, LogReader, type StreamStanding } from './log-reader.js';
import { OwnCommits } from './own-commits.js';

export type LogFeedOptions = Readonly<{
  /** Of the user `reader`, who may follow the log and append nothing. */
  connection: NatsConnection;
  streams: number;
  log: Logger;
}>;

/** A server that is just coming back may drop a request without a word; asking again is cheap. */
const REQUEST_TIMEOUT_MS = 1_500;

/** How long the acknowledgement of an own commit may come after that of a later one. */
const GAP_MS = 50;
/** Without a commit for this long, the stream is asked whether there is one. */
const LOOK_MS = 250;

/** A position (text), or the words `start` and `now`. */
export type TailStart = string;

/** A place after which every event of its commit is known. */
export const WHOLE_COMMIT = 999_999;

/** Injectable: the class is its own token. */
export class LogFeed implements Feed {
  private readonly followers = new Set<Follower>();
  private readonly dispatched = new Map<number, number>();
  private readonly stop = new AbortController();
  private readonly readables = new Map<string, Readable>();
  private catalogues = new Catalogues([]);
  private keyring: Keyring | undefined;
  private standings: readonly StreamStanding[] = [];
  private running: readonly Promise<void>[] = [];
  private readonly own = new Map<number, OwnCommits>();
  private writes_all = false;
  private halted: LogHalted | undefined;
  private damage: string | undefined;
  private readonly damage_listeners: ((reason: string) => void)[] = [];
  private readonly endGauge: () => void;

  private constructor(
    private readonly connection: NatsConnection,
    private readonly reader: LogReader,
    private readonly log: Logger,
  ) {
    this.endGauge = gauge('nexusmon_log_sequence', { says: 'Last sequence read of each stream.' }, () =>
      [...this.dispatched].map(([stream, value]) => ({ value, labels: { stream } })),
    );
  }

  static async connect({ connection, streams, log }: LogFeedOptions): Promise<LogFeed> {
    const options = { checkAPI: false, timeout: REQUEST_TIMEOUT_MS };
    const reader = new LogReader(jetstream(connection, options), await jetstreamManager(connection, options), log);
    const feed = new LogFeed(connection, reader, log);
    feed.standings = await Promise.all(Array.from({ length: streams }, (_, number) => reader.standing(number)));
    void feed.watch();
    return feed;
  }

  /** Any context's keys open any context's text: the first one given is used. */
  openWith(keyring: Keyring): void {
    this.keyring ??= keyring;
  }

  /** Whose events may be asked for. */
  know(aggregates: readonly Readable[]): void {
    const before = this.readables.size;
    for (const aggregate of aggregates) {
      const key = `${aggregate.context}.${aggregate.name}`;
      if (!this.readables.has(key)) this.readables.set(key, aggregate);
    }
    if (this.readables.size > before) this.catalogues = new Catalogues([...this.readables.values()]);
  }

  /** The streams as they were found at the start. */
  identities(): readonly StreamStanding[] {
    return this.standings;
  }

  /** The end of the log as it was found at the start: who has reached it has caught up. */
  startHead(): PositionVector {
    return new Map(
      this.standings
        .filter(({ last_sequence }) => last_sequence > 0)
        .map(({ number, incarnation, last_sequence: sequence }) => [number, { incarnation, sequence, index: 0 }]),
    );
  }

  /** How far the process has read, as text. */
  position(): Position {
    return encodePosition(
      new Map(
        this.standings.map(({ number, incarnation }) => [
          number,
          { incarnation, sequence: this.dispatched.get(number) ?? 0, index: WHOLE_COMMIT },
        ]),
      ),
    );
  }

  get fault(): string | undefined {
    return this.halted?.message;
  }

  /** Told once, of the first damage that is met (F5). */
  onDamage(listener: (reason: string) => void): void {
    this.damage_listeners.push(listener);
  }

  /** One commit by its sequence; undefined when it is not there. */
  async at(stream: number, sequence: number): Promise<FeedCommit | undefined> {
    const standing = this.standings[stream];
    const message = standing && (await this.reader.at(stream, sequence));
    return standing && message ? this.decode(message, standing) : undefined;
  }

  /** Follows from the commit after each given sequence; a stream that is not named is read from its beginning. */
  follow(
    after: ReadonlyMap<number, number>,
    { patient = true, wants }: Readonly<{ patient?: boolean; wants?: (commit: FeedCommit) => boolean }> = {},
  ): Follower {
    const next = new Map(this.standings.map(({ number }) => [number, (after.get(number) ?? 0) + 1]));
    const follower = new Follower(this, next, patient, wants);
    if (this.halted) follower.halt(this.halted);
    this.followers.add(follower);
    return follower;
  }

  /**
   * Commits after a position, then live, until the signal aborts: for one reader outside the process. `now` begins with
   * what comes next; a position that cannot be compared with this log is refused by `undefined`.
   */
  tail(from: TailStart, signal: AbortSignal): AsyncGenerator<FeedCommit, void, void> | undefined {
    const after = this.sequencesOf(from);
    if (!after) return undefined;
    const follower = this.follow(after, { patient: false });
    return drainFollower(follower, signal);
  }

  /** A log of this process tells of what it has appended. */
  tell(stream: number, own: OwnMessage): void {
    const standing = this.standings[stream];
    if (!standing) return;
    const commit = new OwnCommit(own, this.feedingOf(standing));
    this.ownOf(stream).add(commit, this.dispatchedOf(stream));
  }

  /**
   * Once all that must see everything from their checkpoint on have been added. `writes_all`: every context that writes
   * lives in this process, and its logs tell of what they append.
   */
  start({ writes_all = false }: Readonly<{ writes_all?: boolean }> = {}): void {
    this.writes_all = writes_all;
    this.running = this.standings.map((stream) => this.run(stream));
  }

  async close(): Promise<void> {
    this.stop.abort();
    for (const own of this.own.values()) own.interrupt();
    for (const follower of [...this.followers]) follower.close();
    await Promise.all(this.running);
    this.endGauge();
  }

  forget(follower: Follower): void {
    this.followers.delete(follower);
  }

  dispatchedOf(stream: number): number {
    return this.dispatched.get(stream) ?? 0;
  }

  async *readBehind(stream: number, from: number, signal: AbortSignal): AsyncGenerator<FeedCommit, void, void> {
    const standing = this.standings[stream];
    if (!standing) throw new RangeError(`no stream ${stream}`);
    for await (const message of this.reader.read(standing, from, signal)) yield this.decode(message, standing);
  }

  /** Fetches the keys of commits that are about to be opened together: asking for each would take most of the time. */
  async fetchKeys(commits: readonly FeedCommit[]): Promise<void> {
    const keyring = this.requireKeyring();
    const key_ids = new Set(commits.flatMap(({ key_id }) => key_id ?? []));
    await Promise.all([...key_ids].flatMap((key_id) => (keyring.peek(key_id) ? [] : keyring.get(key_id))));
  }

  private sequencesOf(from: TailStart): ReadonlyMap<number, number> | undefined {
    if (from === 'start') return new Map();
    if (from === 'now') return new Map(this.standings.map(({ number }) => [number, this.dispatchedOf(number)]));
    const vector = decodePosition(from);
    if (!vector) return undefined;
    const comparable = [...vector].every(
      ([number, { incarnation }]) => this.standings[number]?.incarnation === incarnation,
    );
    return comparable ? new Map([...vector].map(([number, { sequence }]) => [number, sequence])) : undefined;
  }

  private async run(stream: StreamStanding): Promise<void> {
    const { number } = stream;
    const from = Math.min(...[...this.followers].map((follower) => follower.nextOf(number)), stream.last_sequence + 1);
    this.dispatched.set(number, from - 1);
    try {
      while (!this.stop.signal.aborted) {
        await this.readOn(stream);
        await this.feedItself(stream);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.halted =
        error instanceof LogHalted ? error : new LogHalted(`reading ${stream.name}: ${reason}`, { cause: error });
      this.log.error({ msg: 'log feed halted', stream: stream.name, error: this.halted });
      for (const follower of this.followers) follower.halt(this.halted);
      this.tellDamage(this.halted.message);
    }
  }

  private tellDamage(reason: string): void {
    if (this.damage !== undefined) return;
    this.damage = reason;
    for (const tell of this.damage_listeners) tell(reason);
  }

  /** Until it is known from here what comes next (F6). */
  private async readOn({ number, last_sequence }: StreamStanding): Promise<void> {
    const own = this.ownOf(number);
    for await (const read of this.readBehind(number, this.dispatchedOf(number) + 1, this.stop.signal)) {
      const told = own.take(read.sequence);
      if (!told && this.writes_all && read.sequence > last_sequence) own.readUntold(read.sequence);
      await this.dispatch(number, told ?? read);
      if (!this.writes_all || read.sequence < last_sequence || !own.alone) continue;
      if (own.has(read.sequence + 1) || !own.isPast(read.sequence)) return;
    }
  }

  /** Until a commit is missing that nobody here has told of. */
  private async feedItself(stream: StreamStanding): Promise<void> {
    const own = this.ownOf(stream.number);
    let complete_ms = performance.now();
    while (!this.stop.signal.aborted) {
      const dispatched = this.dispatchedOf(stream.number);
      const next = own.take(dispatched + 1);
      if (next) {
        await this.dispatch(stream.number, next);
        complete_ms = performance.now();
      } else if (own.isPast(dispatched)) {
        if (performance.now() - complete_ms > GAP_MS) return;
        await own.next(GAP_MS);
      } else {
        const told = (await own.next(LOOK_MS)) || !(await this.hasMore(stream, dispatched));
        complete_ms = performance.now();
        // What the stream has may be our own, just not acknowledged yet.
        if (!told && !own.isPast(dispatched) && !(await own.next(GAP_MS))) return;
      }
    }
  }

  /** Whether the stream is not as far as this process knows: then reading it says why. */
  private async hasMore({ number, incarnation }: StreamStanding, dispatched: number): Promise<boolean> {
    try {
      const now = await this.reader.standing(number);
      return now.incarnation !== incarnation || now.last_sequence !== dispatched;
    } catch (error) {
      this.log.debug({ msg: 'the end of the log could not be looked up', error });
      return true;
    }
  }

  private ownOf(stream: number): OwnCommits {
    const own = this.own.get(stream) ?? new OwnCommits();
    this.own.set(stream, own);
    return own;
  }

  private async dispatch(stream: number, commit: FeedCommit): Promise<void> {
    this.dispatched.set(stream, commit.sequence);
    for (const follower of this.followers) {
      if (follower.offer(stream, commit)) continue;
      await follower.room();
      follower.insist(stream, commit);
    }
  }

  private decode(message: LogMessage, stream: StreamIdentity): FeedCommit {
    return new FeedCommit(message, this.feedingOf(stream));
  }

  private feedingOf(stream: StreamIdentity): Feeding {
    const unreadable = (error: CommitUnreadable) => this.tellDamage(error.message);
    return { catalogues: this.catalogues, keyring: this.requireKeyring(), stream, unreadable };
  }

  private requireKeyring(): Keyring {
    if (!this.keyring) throw new Error('the feed was started before it was given keys');
    return this.keyring;
  }

  private async watch(): Promise<void> {
    for await (const status of this.connection.status()) if (status.type === 'reconnect') this.reader.restart();
  }
}

const TAIL_BATCH = 64;

async function* drainFollower(follower: Follower, signal: AbortSignal): AsyncGenerator<FeedCommit, void, void> {
  const close = () => follower.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    while (!signal.aborted) {
      const commits = await follower.take(TAIL_BATCH);
      if (commits.length === 0) return;
      yield* commits;
    }
  } finally {
    signal.removeEventListener('abort', close);
    follower.close();
  }
}
