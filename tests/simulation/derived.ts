// What a process derives from the log: the product's projections, reactors and clocks, and the pace at which the
// machine lets them go on.
//
//   V1. A projection reads the log in its order. Its rows and its checkpoint stand together.
//   V2. A reactor is given every event that it wants, at least once: those of one aggregate in their order, others in
//       any. Its checkpoint follows a while later, so that after a crash some come again.
//   V3. What a reactor cannot do now it is given again.

import { decodeCommit, type Commit, Catalogues, type LogMessage, type RecordedEvent } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import { ClockLoop, type Clock, type FeedCommit, type Projection, type Reactor } from '@nexusmon/projections';
import type { Derived } from '@nexusmon/runtime';
import { silentLogger } from '@nexusmon/telemetry';
import { approvalAggregate } from '../../libs/governance/service/src/approval/approval.aggregate.js';
import { reviewAggregate } from '../../libs/governance/service/src/review/review.aggregate.js';
import { stageAggregate } from '../../libs/evolution/service/src/stage/stage.aggregate.js';
import { missionAggregate } from '../../libs/mission/service/src/mission/mission.aggregate.js';
import { retryDelay } from '../../libs/platform/projections/src/retry.js';
import type { Tables } from './database.js';
import { STREAM, type LogServer } from './log-server.js';
import type { Machine, Process } from './machine.js';

const CATALOGUES = new Catalogues([missionAggregate, approvalAggregate, reviewAggregate, stageAggregate]);
const LOG = silentLogger();
const CHECKPOINT_MS = 1_000;

type Opened = Readonly<{ commit: Commit; events: readonly RecordedEvent[] }>;

/** The commits of the log, each decoded once for all who read it. */
export class Commits {
  private readonly opened = new Map<number, Promise<Opened>>();

  constructor(
    readonly server: LogServer,
    private readonly keyring: Keyring,
  ) {}

  at(sequence: number): Promise<Opened> {
    const known = this.opened.get(sequence);
    if (known) return known;
    const opening = this.open(this.server.messages[sequence - 1]);
    this.opened.set(sequence, opening);
    return opening;
  }

  all(): Promise<readonly Opened[]> {
    return Promise.all(this.server.messages.map(({ seq }) => this.at(seq)));
  }

  private async open(message: LogMessage | undefined): Promise<Opened> {
    if (!message) throw new Error('there is no such commit');
    const commit = decodeCommit(message, CATALOGUES, this.keyring, STREAM);
    return { commit, events: await commit.open() };
  }
}

type Read = Pick<Reactor, 'reads' | 'events'>;
const wantedOf = ({ reads, events }: Read, { commit, events: all }: Opened): readonly RecordedEvent[] =>
  reads.some(({ context, name }) => commit.kind === `${context}.${name}`)
    ? all.filter(({ name }) => events === undefined || events.includes(name))
    : [];

export class Derivations {
  private readonly projections: Projection[] = [];
  private readonly reactors: Reactor[] = [];
  private readonly clocks: Clock[] = [];
  private open = 0;

  constructor(
    private readonly owner: Process,
    private readonly machine: Machine,
    private readonly commits: Commits,
    private readonly tables: Tables,
    private readonly fault: (what: string) => void,
  ) {}

  /** As the product's contexts fill it. */
  get derived(): Derived {
    return {
      addProjection: (projection: Projection) => void this.projections.push(projection),
      addReactor: (reactor: Reactor) => void this.reactors.push(reactor),
      addClock: (clock: Clock) => void this.clocks.push(clock),
    } as unknown as Derived;
  }

  start(): void {
    const told = (error: unknown) =>
      this.fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
    for (const projection of this.projections) this.project(projection).catch(told);
    for (const reactor of this.reactors) this.deliver(reactor).catch(told);
    for (const clock of this.clocks) new ClockLoop(clock, this.tables.database, LOG).start();
  }

  /** Whether the views hold all that is in the log, and every reactor has done what it has been given. */
  get idle(): boolean {
    return this.open === 0 && this.projections.every(({ name }) => this.reached(name) === this.end);
  }

  get caughtUp(): boolean {
    return this.projections.every(({ name }) => this.reached(name) === this.end);
  }

  private get end(): number {
    return this.commits.server.messages.length;
  }

  private reached(name: string): number {
    return this.tables.reached(name);
  }

  private async project(projection: Projection): Promise<void> {
    for (;;) {
      const from = this.reached(projection.name) + 1;
      await this.commits.server.reaches(from);
      await this.machine.step(`${projection.name} reads`, this.owner);
      const end = this.end;
      const batch = [];
      for (let sequence = from; sequence <= end; sequence += 1) {
        const opened = await this.commits.at(sequence);
        const events = wantedOf(projection, opened);
        if (events.length > 0) batch.push({ commit: opened.commit as FeedCommit, events });
      }
      // Another process of the context may have been faster, as with the row lock of a checkpoint.
      if (this.reached(projection.name) + 1 !== from) continue;
      const stand = await this.tables.fold(projection, batch, end);
      if (this.owner.alive && this.reached(projection.name) + 1 === from) stand();
    }
  }

  private async deliver(reactor: Reactor): Promise<void> {
    const name = `reactor:${reactor.name}`;
    const lanes = new Map<string, Promise<void>>();
    const undone = new Set<number>();
    for (let sequence = this.reached(name) + 1; ; sequence += 1) {
      await this.commits.server.reaches(sequence);
      const opened = await this.commits.at(sequence);
      const events = wantedOf(reactor, opened);
      if (events.length === 0) continue;
      this.open += 1;
      undone.add(sequence);
      const { subject } = opened.commit;
      const work = async () => {
        for (const event of events) await this.give(reactor, event, opened.commit as FeedCommit);
        this.open -= 1;
        undone.delete(sequence);
        void this.persist(name, Math.min(sequence, ...[...undone].map((other) => other - 1)));
      };
      lanes.set(subject, (lanes.get(subject) ?? Promise.resolve()).then(work));
    }
  }

  private async give(reactor: Reactor, event: RecordedEvent, commit: FeedCommit): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await this.machine.step(`${reactor.name} is given ${event.name}`, this.owner);
      for (const name of reactor.after ?? []) await this.tables.reaches(name, commit.sequence);
      try {
        await reactor.react(event, commit);
        return;
      } catch (error) {
        if (!(error instanceof Error) || error instanceof TypeError) throw error;
        await this.machine.sleep(retryDelay(attempt)); // V3
      }
    }
  }

  /** V2: never backwards, and not at once. */
  private async persist(name: string, sequence: number): Promise<void> {
    await this.machine.sleep(CHECKPOINT_MS);
    await this.machine.step(`${name} is kept`, this.owner);
    this.tables.raise(name, sequence);
  }
}
