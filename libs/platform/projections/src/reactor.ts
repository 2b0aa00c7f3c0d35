// Reactors: what follows from an event, as commands to this context or to another.
//
//   A1. Every event that a reactor wants is given to it until it has succeeded once, over any crash: its checkpoint
//       never passes an event that has not. Repeats happen, and die on the ids of the commands.
//   A2. Events of one aggregate come in order and one at a time; others go on while one is tried again.
//   A3. A reactor sees an event after the projections that it names contain it: it may ask the views.

import { isAtOrAfter, type RecordedEvent } from '@nexusmon/event-log';
import { counter, gauge, withTraceparent, type Logger } from '@nexusmon/telemetry';
import { Checkpoints, type Reached } from './checkpoint.js';
import type { Database } from './database.js';
import type { Follower } from './follower.js';
import { Interest, type FeedCommit, type Readable } from './feed-commit.js';
import type { LogFeed } from './log-feed.js';
import { beginAt, checkpointFault, endsOf, type ProjectionRunner } from './projection-runner.js';
import { retryDelay, sleep } from './retry.js';

export type Reactor = Readonly<{
  /** `<context>.<what-it-does>`. */
  name: string;
  /** Whose schema holds its checkpoint. */
  context: string;
  reads: readonly Readable[];
  /** Names of the events it wants; all of what it reads unless given. */
  events?: readonly string[];
  /** Projections, by name, that must contain an event before it comes. */
  after?: readonly string[];
  react: (event: RecordedEvent, commit: FeedCommit) => Promise<void>;
  /** Once, before its first event of this process. */
  onStart?: () => Promise<void>;
}>;

const TAKEN_MAX = 64;
/** How far the first event that has not succeeded may lie behind the newest that is worked on. */
const OPEN_MAX = 512;
const PERSIST_MS = 1_000;
const PROJECTED_WAIT_MS = 1_000;

const reactorRetries = counter('nexusmon_reactor_retries', { says: 'Events that a reactor had to be given again.' });

type Work = { readonly commit: FeedCommit; done: boolean };

export class ReactorRunner {
  private readonly checkpoints: Checkpoints;
  private readonly reached = new Map<number, Reached>();
  private readonly interest: Interest;
  private readonly stop = new AbortController();
  private readonly open: Work[] = [];
  /** The last work of each aggregate, so that its next waits for it (A2). */
  private readonly tails = new Map<string, Promise<void>>();
  private follower: Follower | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private halted: string | undefined;
  private failing = 0;
  private moved = false;
  private roomy: (() => void) | undefined;
  private readonly endGauge: () => void;

  constructor(
    readonly reactor: Reactor,
    private readonly projections: readonly ProjectionRunner[],
    private readonly database: Database,
    private readonly feed: LogFeed,
    private readonly log: Logger,
  ) {
    this.checkpoints = new Checkpoints(reactor.context, `reactor:${reactor.name}`);
    this.interest = new Interest(reactor.reads, reactor.events);
    feed.know(reactor.reads);
    this.endGauge = gauge('nexusmon_reactor_open', { says: 'Commits a reactor works on.' }, () => [
      { value: this.open.length, labels: { reactor: reactor.name } },
    ]);
  }

  async start(): Promise<void> {
    const found = await beginAt(this.checkpoints, this.database, this.feed, this.log);
    this.halted = await checkpointFault(found, this.feed);
    if (this.halted !== undefined) {
      this.log.error({ msg: 'reactor halted', reactor: this.reactor.name, reason: this.halted });
      return;
    }
    for (const reached of found) this.reached.set(reached.stream, reached);
    const after = new Map(found.map(({ stream, sequence }) => [stream, sequence]));
    this.follower = this.feed.follow(after, { wants: (commit) => this.wants(commit) });
    this.running = Promise.all([this.run(this.follower), this.persistOften()]);
  }

  checkpointsFound() {
    return this.checkpoints.asFound([...this.reached.values()]);
  }

  health(): Readonly<{ open: number; failing: number; halted?: string }> {
    const { halted, failing } = this;
    return { open: this.open.length, failing, ...(halted === undefined ? {} : { halted }) };
  }

  /** Lets what it is at finish, without waiting for what fails. */
  async close(): Promise<void> {
    this.stop.abort();
    this.follower?.close();
    this.roomy?.();
    await this.running;
    await Promise.all(this.tails.values());
    this.pass();
    if (this.moved) await this.persist();
    this.endGauge();
  }

  private async run(follower: Follower): Promise<void> {
    try {
      await this.untilDone('onStart', async () => this.reactor.onStart?.());
      while (!this.stop.signal.aborted) {
        const commits = await follower.take(TAKEN_MAX);
        if (commits.length === 0) return;
        for (const commit of commits) this.begin(commit);
        this.advance();
        while (this.open.length > OPEN_MAX && !this.stop.signal.aborted) await this.room();
      }
    } catch (error) {
      this.halted = error instanceof Error ? error.message : String(error);
      this.log.error({ msg: 'reactor halted', reactor: this.reactor.name, error });
    }
  }

  /** What cannot be told without being opened is looked at where its fault is handled. */
  private wants(commit: FeedCommit): boolean {
    try {
      return this.interest.has(commit);
    } catch {
      return true;
    }
  }

  private begin(commit: FeedCommit): void {
    const { aggregate, id } = commit;
    const wanted = this.interest.has(commit);
    const work: Work = { commit, done: !wanted };
    this.open.push(work);
    if (!wanted) return;
    const key = `${aggregate}.${id}`;
    const before = this.tails.get(key) ?? Promise.resolve();
    const tail = before
      .then(() => this.work(work))
      .finally(() => {
        if (this.tails.get(key) === tail) this.tails.delete(key);
      });
    this.tails.set(key, tail);
  }

  private async work(work: Work): Promise<void> {
    const { commit } = work;
    let from = 0;
    work.done = await this.untilDone(commit.subject, async () => {
      const events = await this.interest.eventsOf(commit);
      if (events.length > 0) await this.projected(commit);
      for (const event of events.slice(from)) {
        await withTraceparent(event.traceparent, () => this.reactor.react(event, commit));
        from += 1;
      }
    });
    this.advance();
  }

  /** Tries until it succeeds; false when the process stops first. */
  private async untilDone(what: string, work: () => Promise<void>): Promise<boolean> {
    for (let attempt = 1; !this.stop.signal.aborted; attempt += 1) {
      try {
        await work();
        if (attempt > 1) this.failing -= 1;
        return true;
      } catch (error) {
        if (attempt === 1) this.failing += 1;
        reactorRetries({ reactor: this.reactor.name });
        this.log.warn({ msg: 'reactor tries again', reactor: this.reactor.name, what, attempt, error });
        await sleep(retryDelay(attempt), this.stop.signal);
      }
    }
    return false;
  }

  private async projected(commit: FeedCommit): Promise<void> {
    const { number } = commit.stream;
    const target = new Map([[number, { incarnation: commit.incarnation, sequence: commit.sequence, index: 0 }]]);
    for (const projection of this.projections) {
      if (isAtOrAfter(projection.vector(), target)) continue;
      // Nobody waits for a reactor: the views keep their pace, and take what comes meanwhile into the same batch.
      while (!(await projection.reaches(target, { timeout_ms: PROJECTED_WAIT_MS, hurries: false })))
        if (this.stop.signal.aborted) return;
    }
  }

  /** A1: the checkpoint stands before the first commit that is not done. */
  private advance(): void {
    const first = this.open.findIndex(({ done }) => !done);
    const done = this.open.splice(0, first < 0 ? this.open.length : first).map(({ commit }) => commit);
    for (const end of endsOf(done)) this.reached.set(end.stream, end);
    this.moved ||= done.length > 0;
    if (this.open.length <= OPEN_MAX) this.roomy?.();
  }

  /** A1: over commits that it did not want, once nothing before them is open. */
  private pass(): void {
    if (this.open.length > 0) return;
    const passed = [...(this.follower?.passed.values() ?? [])].filter(
      ({ stream, sequence }) => sequence > (this.reached.get(stream.number)?.sequence ?? 0),
    );
    for (const end of endsOf(passed)) this.reached.set(end.stream, end);
    this.moved ||= passed.length > 0;
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      this.roomy = resolve;
    });
  }

  private async persistOften(): Promise<void> {
    while (!this.stop.signal.aborted) {
      await sleep(PERSIST_MS, this.stop.signal);
      this.pass();
      if (this.moved && !this.stop.signal.aborted) await this.persist();
    }
  }

  private async persist(): Promise<void> {
    this.moved = false;
    try {
      for (const reached of this.reached.values()) await this.checkpoints.raise(this.database, reached);
    } catch (error) {
      // The events since the last time come again, which A1 allows.
      this.moved = true;
      this.log.warn({ msg: 'reactor checkpoint not written', reactor: this.reactor.name, error });
    }
  }
}
