// Projection runner
//
//   J1. What is made of a batch and how far it reaches are committed together: after any crash the rows are those of
//       the checkpoint.
//   J2. At most one process moves a checkpoint. Who finds it moved forgets what it had folded and goes on from there.
//   J3. What cannot be read halts this projection at that commit, with the reason; it goes on serving what it has.
//   J4. What may pass is tried again, for as long as it takes.
//   J5. A checkpoint that the log contradicts halts the projection before it writes anything.

import { encodePosition, isAtOrAfter, type Place, type Position, type PositionVector } from '@nexusmon/event-log';
import { gauge, histogram, type Logger } from '@nexusmon/telemetry';
import { Checkpoints, type Reached, type Standing } from './checkpoint.js';
import { isPassing, type Database } from './database.js';
import type { Follower } from './follower.js';
import { Interest, type FeedCommit } from './feed-commit.js';
import { WHOLE_COMMIT, type LogFeed } from './log-feed.js';
import type { OpenCommit, Projection } from './projection.js';
import { Store, Table, type Pending } from './store.js';
import { writeBatch } from './write-batch.js';
import { ownTurn } from './own-turn.js';
import { retryDelay, sleep } from './retry.js';

const BATCH_MAX = 500;
/**
 * Under load, batches begin this far apart: fewer and larger ones cost less, and of a row that changes often fewer
 * states are written. The first after a pause does not wait, and where somebody waits for it, a batch comes sooner.
 */
const TICK_MS = 100;
/** After a batch of this many: under such a load what is in motion changes several times while it is. */
const LARGE_BATCH = 32;
const LARGE_TICK_MS = 150;
const AWAITED_TICK_MS = 15;
/** A checkpoint that moves over commits of others is written this often. */
const PERSIST_MS = 1_000;
const LAST_WAIT_MS = 5_000;

const batchSeconds = histogram('nexusmon_projection_batch_seconds', { says: 'Time to fold and write one batch.' });

/** Another process has moved the checkpoint. */
class CheckpointMoved extends Error {
  override readonly name = 'CheckpointMoved';
}

export type ProjectionHealth = Readonly<{
  position: Position;
  /** Commits of the log that it has not seen yet. */
  lag: number;
  halted?: string;
  /** Why it does not get on just now. */
  retrying?: string;
}>;

/** `count`: of the commits that were looked at without a fault. */
type Opened = Readonly<{ wanted: readonly OpenCommit[]; count: number; fault: Error | undefined }>;
/** `hurries`: a batch comes sooner because of it. */
type Waiter = Readonly<{ target: PositionVector; hurries: boolean; resolve: (reached: boolean) => void }>;
type WaitOptions = Readonly<{ timeout_ms: number; hurries: boolean }>;

export class ProjectionRunner {
  private readonly checkpoints: Checkpoints;
  private readonly tables: ReadonlyMap<string, Table>;
  private readonly reached = new Map<number, Reached>();
  /** What the checkpoint's rows say: behind `reached` by commits that change nothing here. */
  private readonly persisted = new Map<number, number>();
  /** Where the checkpoint's rows are to be moved with the next write. */
  private readonly ahead = new Map<number, Reached>();
  private generation = 0;
  private persisted_ms = 0;
  private readonly waiters = new Set<Waiter>();
  private readonly stop = new AbortController();
  private readonly interest: Interest;
  private follower: Follower | undefined;
  private running: Promise<void> = Promise.resolve();
  private halted: string | undefined;
  private retrying: string | undefined;
  /** Ends a rest, because somebody waits now. */
  private hurry: (() => void) | undefined;
  private readonly endGauge: () => void;

  constructor(
    readonly projection: Projection,
    readonly database: Database,
    private readonly feed: LogFeed,
    private readonly log: Logger,
  ) {
    this.checkpoints = new Checkpoints(projection.context, projection.name);
    this.tables = new Map(projection.tables.map((definition) => [definition.name, new Table(definition)]));
    this.interest = new Interest(projection.reads, projection.events);
    feed.know(projection.reads);
    this.endGauge = gauge('nexusmon_projection_lag', { says: 'Commits not yet projected.' }, () => [
      { value: this.lag(), labels: { projection: projection.name } },
    ]);
  }

  /** Reads the checkpoint and joins the feed. The feed starts when all have joined. */
  async start(): Promise<void> {
    const found = await beginAt(this.checkpoints, this.database, this.feed, this.log);
    this.stand(found);
    this.halted = await checkpointFault(found, this.feed);
    if (this.halted !== undefined) {
      this.log.error({ msg: 'projection halted', projection: this.projection.name, reason: this.halted });
      return;
    }
    this.follower = this.feed.follow(new Map(found.map(({ stream, sequence }) => [stream, sequence])));
    this.running = this.run(this.follower);
  }

  /** In the form in which the event log compares checkpoints with itself. */
  checkpointsFound() {
    return this.checkpoints.asFound([...this.reached.values()]);
  }

  /** How far its rows reach. */
  vector(): PositionVector {
    return new Map([...this.reached.values()].map(({ stream, ...rest }) => [stream, placeOf(rest)]));
  }

  position(): Position {
    return encodePosition(this.vector());
  }

  /** Commits that the process has read and the projection has not. */
  lag(): number {
    return this.feed
      .identities()
      .reduce((sum, { number }) => sum + Math.max(0, this.feed.dispatchedOf(number) - this.sequenceOf(number)), 0);
  }

  health(): ProjectionHealth {
    return {
      position: this.position(),
      lag: this.lag(),
      ...(this.halted === undefined ? {} : { halted: this.halted }),
      ...(this.retrying === undefined ? {} : { retrying: this.retrying }),
    };
  }

  /** Whether all up to the target is in the rows; a halted projection contains what it will ever contain. */
  contains(target: PositionVector): boolean {
    return this.halted !== undefined || isAtOrAfter(this.vector(), target);
  }

  /** Whether what lies at or before the position is in the rows, at once or within the time. */
  reaches(target: PositionVector, { timeout_ms, hurries }: WaitOptions): Promise<boolean> {
    if (isAtOrAfter(this.vector(), target)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.resolve(false), timeout_ms);
      const waiter: Waiter = {
        target,
        hurries,
        resolve: (reached) => {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve(reached);
        },
      };
      this.waiters.add(waiter);
      if (hurries) this.hurry?.();
    });
  }

  /** Where it was halted, it begins again from its checkpoint: what it stands on has been put right. */
  async renew(): Promise<void> {
    if (this.halted === undefined || this.stop.signal.aborted) return;
    await this.running;
    for (const table of this.tables.values()) table.forget();
    await this.start();
  }

  /** Finishes the batch that it is at, and no more. */
  async close(): Promise<void> {
    this.stop.abort();
    this.follower?.close();
    await this.running;
    await this.persistLast();
    for (const waiter of [...this.waiters]) waiter.resolve(false);
    this.endGauge();
  }

  private stand(found: readonly Standing[]): void {
    this.ahead.clear();
    for (const { generation, ...reached } of found) {
      this.generation = generation;
      this.reached.set(reached.stream, reached);
      this.persisted.set(reached.stream, reached.sequence);
    }
  }

  /** What is not written is read again by the next process, and changes nothing. */
  private async persistLast(): Promise<void> {
    if (this.ahead.size === 0 || this.halted !== undefined) return;
    try {
      await this.write([]);
    } catch (error) {
      this.log.warn({ msg: 'last checkpoint not written', projection: this.projection.name, error });
    }
  }

  private sequenceOf(stream: number): number {
    return this.reached.get(stream)?.sequence ?? 0;
  }

  private async run(follower: Follower): Promise<void> {
    try {
      while (!this.stop.signal.aborted) {
        const commits = await follower.take(BATCH_MAX);
        if (commits.length === 0) return;
        const began_ms = performance.now();
        await ownTurn();
        await this.project(follower, commits);
        batchSeconds((performance.now() - began_ms) / 1_000, { projection: this.projection.name });
        if (follower.queued < BATCH_MAX)
          await this.rest(began_ms, commits.length < LARGE_BATCH ? TICK_MS : LARGE_TICK_MS);
      }
    } catch (error) {
      this.halt(error);
    } finally {
      follower.close();
    }
  }

  /** Until the next batch is due. */
  private async rest(began_ms: number, tick_ms: number): Promise<void> {
    const hurried = () => [...this.waiters].some(({ hurries }) => hurries);
    const due_ms = () => began_ms + (hurried() ? AWAITED_TICK_MS : tick_ms) - performance.now();
    for (let left_ms = due_ms(); left_ms > 1 && !this.stop.signal.aborted; left_ms = due_ms()) {
      const hurry = new AbortController();
      this.hurry = () => hurry.abort();
      if (hurried()) await sleep(left_ms, this.stop.signal);
      else await sleep(left_ms, AbortSignal.any([hurry.signal, this.stop.signal]));
    }
    this.hurry = undefined;
  }

  private halt(error: unknown): void {
    this.halted = error instanceof Error ? error.message : String(error);
    this.log.error({ msg: 'projection halted', projection: this.projection.name, error });
  }

  private async project(follower: Follower, commits: readonly FeedCommit[]): Promise<void> {
    let moved = false;
    for (let attempt = 1; !this.stop.signal.aborted; attempt += 1) {
      try {
        if (moved) return await this.resync(follower);
        const { wanted, count, fault } = await this.openAll(commits);
        if (count > 0) await this.commit(wanted, fault ? commits.slice(0, count) : commits);
        if (fault) throw fault;
        this.retrying = undefined;
        return;
      } catch (error) {
        moved ||= error instanceof CheckpointMoved;
        if (error instanceof CheckpointMoved) continue;
        if (!isPassing(error)) throw error;
        this.retrying = error instanceof Error ? error.message : String(error);
        this.log.warn({ msg: 'projection tries again', projection: this.projection.name, attempt, error });
        await sleep(retryDelay(attempt), this.stop.signal);
      }
    }
  }

  /** What is wanted of the commits up to the first that cannot be read (J3), and how many those are. */
  private async openAll(commits: readonly FeedCommit[]): Promise<Opened> {
    const opening = commits.map((commit) => this.opening(commit));
    const wanted: OpenCommit[] = [];
    let count = 0;
    for (const each of opening) {
      const opened = each instanceof Promise ? await each : each;
      if (opened instanceof Error) return { wanted, count, fault: opened };
      if (opened && opened.events.length > 0) wanted.push(opened);
      count += 1;
    }
    return { wanted, count, fault: undefined };
  }

  /** At once where nothing is wanted of it, which is so for most commits and most projections. */
  private opening(commit: FeedCommit): undefined | Error | Promise<OpenCommit | Error> {
    try {
      if (!this.interest.has(commit)) return undefined;
    } catch (error) {
      return asError(error);
    }
    return this.interest.eventsOf(commit).then((events) => ({ commit, events }), asError);
  }

  /**
   * Rows are read before and outside of what writes them: if another process wrote them since, it has moved the
   * checkpoint too, and then nothing of this stands (J2).
   */
  private async commit(wanted: readonly OpenCommit[], commits: readonly FeedCommit[]): Promise<void> {
    const ends = endsOf(commits);
    const store = new Store(this.tables, this.database);
    if (wanted.length > 0) await this.projection.on(wanted, store);
    const pending = store.pending();
    for (const end of ends) this.ahead.set(end.stream, end);
    if (pending.length > 0 || performance.now() - this.persisted_ms > PERSIST_MS) await this.write(pending);
    store.keep();
    for (const end of ends) this.reached.set(end.stream, end);
    this.tellWaiters();
  }

  private tellWaiters(): void {
    const vector = this.vector();
    for (const waiter of [...this.waiters]) if (isAtOrAfter(vector, waiter.target)) waiter.resolve(true);
  }

  /** Rows and checkpoint stand together or not at all (J1). */
  private async write(pending: readonly Pending[]): Promise<void> {
    const moves = [...this.ahead.values()].map((to) => ({
      ...to,
      before: this.persisted.get(to.stream) ?? 0,
      generation: this.generation,
    }));
    if (!(await writeBatch(this.database, this.checkpoints, moves, pending)))
      throw new CheckpointMoved(`${this.projection.name} was moved by another process`);
    this.persisted_ms = performance.now();
    for (const { stream, sequence } of moves) this.persisted.set(stream, sequence);
    this.ahead.clear();
  }

  /** J2. Also after a commit whose end was not known: it may have stood. */
  private async resync(follower: Follower): Promise<void> {
    for (const table of this.tables.values()) table.forget();
    const found = await this.checkpoints.read(this.database);
    const fault = await checkpointFault(found, this.feed);
    if (fault !== undefined) throw new Error(fault);
    this.stand(found);
    this.tellWaiters();
    follower.reset(new Map(found.map(({ stream, sequence }) => [stream, sequence])));
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

const placeOf = ({ incarnation, sequence }: Omit<Reached, 'stream'>): Place => ({
  incarnation,
  sequence,
  index: WHOLE_COMMIT,
});

/** Where each stream stands after these commits. Only the last of each is hashed. */
export const endsOf = (commits: readonly FeedCommit[]): Reached[] => {
  const last = new Map<number, FeedCommit>();
  for (const commit of commits) last.set(commit.stream.number, commit);
  return [...last].map(([stream, commit]) => ({
    stream,
    incarnation: commit.incarnation,
    sequence: commit.sequence,
    hash: commit.hash,
  }));
};

/** The checkpoint as found; waits for a database that is not there yet. */
export const beginAt = async (
  checkpoints: Checkpoints,
  database: Database,
  feed: LogFeed,
  log: Logger,
): Promise<readonly Standing[]> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await checkpoints.begin(database, feed.identities());
      return await checkpoints.read(database);
    } catch (error) {
      if (!isPassing(error)) throw error;
      log.warn({ msg: 'checkpoint not read yet', attempt, error });
      await sleep(retryDelay(attempt), AbortSignal.timeout(LAST_WAIT_MS));
    }
  }
};

/** Why a checkpoint cannot be gone on from (J5); undefined when it can. */
export const checkpointFault = async (found: readonly Reached[], feed: LogFeed): Promise<string | undefined> => {
  for (const { stream, incarnation, sequence, hash } of found) {
    const standing = feed.identities()[stream];
    if (!standing) return `its checkpoint is of stream ${stream}, which this log does not have`;
    if (incarnation !== standing.incarnation) return `its checkpoint is of another ${standing.name}: rebuild it`;
    if (sequence === 0) continue;
    const commit = await feed.at(stream, sequence);
    if (!commit) return `${standing.name} has no message ${sequence}, where its checkpoint stands`;
    if (commit.hash !== hash)
      return `message ${sequence} of ${standing.name} is not the one that its checkpoint has seen`;
  }
  return undefined;
};
