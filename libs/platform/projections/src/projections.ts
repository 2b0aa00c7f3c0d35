// Projections: all that one process derives from the log. Injectable: the class is its own token.

import { decodePosition, isOfIncarnations, newId, type Checkpoint, type Position } from '@nexusmon/event-log';
import type { Refusal } from '@nexusmon/shared-contract';
import type { Logger } from '@nexusmon/telemetry';
import { ClockLoop, type Clock } from './clock-loop.js';
import type { Database } from './database.js';
import type { LogFeed } from './log-feed.js';
import { ProjectionRunner, type ProjectionHealth } from './projection-runner.js';
import type { Projection } from './projection.js';
import { ReactorRunner, type Reactor } from './reactor.js';
import type { ProjectionDocument } from './rebuild.document.js';
import { Rebuild } from './rebuild.js';
import { readRebuild, readRebuilds } from './rebuilds.js';

/** What API.md allows a read to wait. */
export const POSITION_WAIT_MS = 5_000;

type Rebuilding = Readonly<{ rebuild: Rebuild; ended: Promise<void> }>;

const refusal = (code: string, detail: string): Refusal => ({ code, detail });

export class Projections {
  private readonly projections = new Map<string, ProjectionRunner>();
  private readonly reactors = new Map<string, ReactorRunner>();
  private readonly clocks: ClockLoop[] = [];
  private readonly rebuilds = new Map<string, Rebuilding>();
  private starting = false;

  constructor(
    private readonly feed: LogFeed,
    private readonly log: Logger,
  ) {}

  addProjection(projection: Projection, database: Database): void {
    this.refuseLate(projection.name);
    if (this.projections.has(projection.name)) throw new TypeError(`projection ${projection.name} was added twice`);
    this.projections.set(projection.name, new ProjectionRunner(projection, database, this.feed, this.log));
  }

  /** After the projections that it names. */
  addReactor(reactor: Reactor, database: Database): void {
    this.refuseLate(reactor.name);
    if (this.reactors.has(reactor.name)) throw new TypeError(`reactor ${reactor.name} was added twice`);
    const after = (reactor.after ?? []).map((name) => this.runner(name));
    this.reactors.set(reactor.name, new ReactorRunner(reactor, after, database, this.feed, this.log));
  }

  addClock(clock: Clock, database: Database): void {
    this.refuseLate(clock.name);
    this.clocks.push(new ClockLoop(clock, database, this.log));
  }

  /** Reads every checkpoint; returns them for the event log to compare itself with. */
  async join(): Promise<readonly Checkpoint[]> {
    this.starting = true;
    const runners = [...this.projections.values(), ...this.reactors.values()];
    await Promise.all(runners.map((runner) => runner.start()));
    return runners.flatMap((runner) => runner.checkpointsFound());
  }

  /** After `join`: what is in the log begins to flow. `writes_all`: see `LogFeed.start`. */
  start(options: Readonly<{ writes_all?: boolean }> = {}): void {
    this.feed.start(options);
    for (const clock of this.clocks) clock.start();
  }

  async close(): Promise<void> {
    for (const { rebuild } of this.rebuilds.values()) rebuild.abort();
    await Promise.all([...this.rebuilds.values()].map(({ ended }) => ended));
    await Promise.all(this.clocks.map((clock) => clock.close()));
    await Promise.all([...this.reactors.values()].map((runner) => runner.close()));
    await Promise.all([...this.projections.values()].map((runner) => runner.close()));
    await this.feed.close();
  }

  /** True when the projection contains the position, at once or within the time; undefined for text that is none. */
  async waitFor(name: string, position: Position, timeout_ms = POSITION_WAIT_MS): Promise<boolean | undefined> {
    const target = decodePosition(position);
    return target && this.runner(name).reaches(target, { timeout_ms, hurries: true });
  }

  /** For a handler of a read: why `min_position` cannot be served; undefined when it can, or when there is none. */
  async unreached(name: string, min_position: Position | undefined): Promise<Refusal | undefined> {
    if (min_position === undefined) return undefined;
    // What a log that was restored since has at that place is something else.
    if (this.isOfAnother(min_position)) return refusal('malformed-position', 'min_position is of another log');
    const reached = await this.waitFor(name, min_position);
    if (reached === undefined) return refusal('malformed-position', 'min_position is not a position of this log');
    return reached ? undefined : refusal('position-not-reached', `${name} has not reached min_position yet`);
  }

  private isOfAnother(position: Position): boolean {
    const target = decodePosition(position);
    const incarnations = new Map(this.feed.identities().map(({ number, incarnation }) => [number, incarnation]));
    return target !== undefined && !isOfIncarnations(target, incarnations);
  }

  checkpointPosition(name: string): Position {
    return this.runner(name).position();
  }

  /** True once every projection contains what was in the log when the process started. */
  caughtUp(): boolean {
    const head = this.feed.startHead();
    return [...this.projections.values()].every((runner) => runner.contains(head));
  }

  health(): Readonly<Record<string, ProjectionHealth>> {
    return Object.fromEntries([...this.projections].map(([name, runner]) => [name, runner.health()]));
  }

  /** What one context derives here, with what was last rebuilt of it; of one projection where it is named. */
  async documents(context: string, name?: string): Promise<readonly ProjectionDocument[]> {
    const runners = [...this.projections.values()].filter(
      ({ projection }) => projection.context === context && (name === undefined || projection.name === name),
    );
    const [first] = runners;
    if (!first) return [];
    const rebuilds = await readRebuilds(first.database, context);
    return runners.map((runner) => {
      const rebuild = rebuilds.get(runner.projection.name);
      return { name: runner.projection.name, context, ...runner.health(), ...(rebuild ? { rebuild } : {}) };
    });
  }

  /**
   * Begins to build a projection again; `undefined` where there is none of that name, `running` where one is at it. One
   * that has begun before is answered as it is now, unless it has failed: then it is begun again. `reused` where its id
   * was that of another request.
   */
  async rebuild(
    name: string,
    check: boolean,
    rebuild_id = newId('rbd'),
  ): Promise<ProjectionDocument | 'running' | 'reused' | undefined> {
    const runner = this.projections.get(name);
    if (!runner) return undefined;
    const { projection, database } = runner;
    const { context } = projection;
    const known = await this.known(runner, check, rebuild_id);
    if (known) return known;
    const before = this.rebuilds.get(name);
    if (before && !before.rebuild.ending) return 'running';
    await before?.ended;
    if (this.rebuilds.has(name)) return 'running';
    const rebuild = new Rebuild({ projection, database, feed: this.feed, log: this.log, check, rebuild_id });
    const begun = rebuild.start();
    const ended = begun
      .then((started) => started?.ended)
      .then(async (document) => {
        if (document?.swapped) await runner.renew();
      })
      .catch((error: unknown) => this.log.error({ msg: 'rebuild broken off', projection: name, error }))
      .finally(() => this.rebuilds.delete(name));
    this.rebuilds.set(name, { rebuild, ended });
    const started = await begun;
    if (!started) return (await this.known(runner, check, rebuild_id)) ?? 'running';
    return { name, context, ...runner.health(), rebuild: started.document };
  }

  /** What is answered to whoever asks for one that runs or has ended; undefined where there is none, or it failed. */
  private async known(
    runner: ProjectionRunner,
    check: boolean,
    rebuild_id: string,
  ): Promise<ProjectionDocument | 'reused' | undefined> {
    const { projection, database } = runner;
    const { name, context } = projection;
    const rebuild = await readRebuild(database, context, rebuild_id);
    if (rebuild && rebuild.check !== check) return 'reused';
    return rebuild && rebuild.status !== 'failed' ? { name, context, ...runner.health(), rebuild } : undefined;
  }

  reactorHealth() {
    return Object.fromEntries([...this.reactors].map(([name, runner]) => [name, runner.health()]));
  }

  private runner(name: string): ProjectionRunner {
    const runner = this.projections.get(name);
    if (!runner) throw new TypeError(`there is no projection ${name} in this process`);
    return runner;
  }

  private refuseLate(name: string): void {
    if (this.starting) throw new TypeError(`${name} was added after the start`);
  }
}
