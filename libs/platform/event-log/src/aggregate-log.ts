// One kind of aggregate in the log of this process: loading, queues, group commit.
//
//   L1. Commands on one aggregate pass through one queue and are decided and appended together.
//   L2. Nothing is answered that the log has not confirmed: an append by its expectation, a refusal or a repeat decided
//       on cached state by asking the leader whether that state is still the last.
//   L3. A conflict starts over from the read, so that rules are checked against what won.
//   L4. What each command got is told to it alone: one that faults does not take its neighbours with it.

import type { KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Message, Rejection } from '@nexusmon/kernel';
import { KeyDestroyed, type Keyring } from '@nexusmon/keys';
import { command_id as commandId, digest, type CloudEvent } from '@nexusmon/shared-contract';
import type {
  Aggregate,
  ExecuteOptions,
  FollowUp,
  Identified,
  Loaded,
  Outcome,
  OwnMessage,
  Proposed,
} from './aggregate.js';
import { append, untilAnswered } from './append.js';
import { sha256Hex } from './canonical.js';
import { EventCodec, messageOf, openAll } from './codec.js';
import { StoredCommit, writeHeaders, type LogMessage } from './commit.js';
import { ConflictsExhausted, LogCorrupted, LogUnavailable } from './errors.js';
import type { EventStream } from './event-stream.js';
import { subjectOf } from './names.js';
import { positionOf, type Position } from './position.js';
import type { SeenCommand } from './seen-commands.js';
import { carry, nothingSince, openCarried, readBefore, untouched, type Held, type Key, type Since } from './state.js';
import { Trial, type Decided } from './trial.js';

/** Commands in one commit. Also how many unkeyed ids an aggregate remembers, so that a whole commit can be repeated. */
const GROUP_MAX = 64;
/** Commands that wait for one aggregate; beyond it the caller is told to come back. */
const QUEUE_MAX = 2_048;
const ATTEMPTS_MAX = 32;
const DEADLINE_MS = 5_000;
/** How long a new leader of a replicated stream may take to have applied what the old one acknowledged. */
const STALE_MS_MAX = 1_000;
const STALE_PAUSE_MS = 50;
const CLOSED_KEY = 'destroyed';

/** What an aggregate's log needs of the process's log. */
export type LogPorts = Readonly<{
  streamOf: (id: string) => EventStream;
  incarnationOf: (stream: EventStream) => string;
  keyring: Keyring;
  held: {
    get(subject: string): unknown;
    set(subject: string, held: Held<unknown>): void;
    delete(subject: string): void;
  };
  now_ms: () => number;
  /** Resolves when the log may be written; rejects when it may not. */
  writable: (deadline_ms: number) => Promise<void>;
  /** Why the server writes nothing, as it says itself. */
  stalled: () => Promise<string | undefined>;
  appended: (stream: EventStream, own: OwnMessage) => void;
  /** Nothing is written after this. */
  corrupted: (error: LogCorrupted) => void;
}>;

type Entry<State, Command extends Message, Refusal extends Rejection> = Readonly<{
  identified: Identified<Command>;
  options: ExecuteOptions;
  resolve: (outcome: Outcome<State, Refusal>) => void;
  reject: (error: unknown) => void;
}>;

type Queue<State, Command extends Message, Refusal extends Rejection> = {
  readonly id: string;
  readonly subject: string;
  readonly stream: EventStream;
  waiting: Entry<State, Command, Refusal>[];
};

/** What a group came to on the provisional state. */
type Settled<Refusal extends Rejection> = Decided<Refusal> | Readonly<{ kind: 'fault'; error: unknown }>;

export class AggregateLog<State, Command extends Message, Event extends Message, Refusal extends Rejection> {
  private readonly codec: EventCodec;
  private readonly version: number;
  private readonly queues = new Map<string, Queue<State, Command, Refusal>>();
  private follow_up: FollowUp<State, Command> | undefined;

  constructor(
    private readonly aggregate: Aggregate<State, Command, Event, Refusal>,
    private readonly ports: LogPorts,
  ) {
    this.codec = new EventCodec(aggregate.context, aggregate.events);
    this.version = aggregate.state_version ?? 1;
  }

  followWith(follow_up: FollowUp<State, Command>): void {
    if (this.follow_up) throw new Error(`${this.aggregate.context}.${this.aggregate.name} already has a follow-up`);
    this.follow_up = follow_up;
  }

  execute(id: string, identified: Identified<Command>, options: ExecuteOptions): Promise<Outcome<State, Refusal>> {
    commandId.parse(identified.command_id);
    if (identified.request_digest !== undefined) digest.parse(identified.request_digest);
    const subject = subjectOf(this.aggregate.context, this.aggregate.name, id);
    const running = this.queues.get(subject);
    const queue = running ?? { id, subject, stream: this.ports.streamOf(id), waiting: [] };
    if (queue.waiting.length >= QUEUE_MAX)
      throw new LogUnavailable(`${QUEUE_MAX} commands already wait for ${subject}`);
    if (!running) {
      this.queues.set(subject, queue);
      // After this tick: whatever it still brings for the same aggregate is decided together.
      queueMicrotask(() => void this.drain(queue));
    }
    return new Promise((resolve, reject) => queue.waiting.push({ identified, options, resolve, reject }));
  }

  async load(id: string): Promise<Loaded<State>> {
    const { held, stream } = await this.current(id);
    const { state, revision, key_id } = held;
    return { state, revision, key_id, position: this.positionOf(stream, held) };
  }

  async knows(id: string, command: SeenCommand): Promise<boolean> {
    const { held } = await this.current(id);
    return held.seen.find(command) !== 'unseen';
  }

  private async current(id: string): Promise<{ held: Held<State>; stream: EventStream }> {
    const subject = subjectOf(this.aggregate.context, this.aggregate.name, id);
    const stream = this.ports.streamOf(id);
    return { stream, held: await this.read(stream, subject, performance.now() + DEADLINE_MS) };
  }

  private async drain(queue: Queue<State, Command, Refusal>): Promise<void> {
    while (queue.waiting.length > 0) {
      const group = queue.waiting.splice(0, GROUP_MAX);
      try {
        const deferred = await this.commitGroup(queue, group);
        queue.waiting.unshift(...deferred);
      } catch (error) {
        // What the log holds now is not known here.
        this.ports.held.delete(queue.subject);
        if (error instanceof LogCorrupted) this.ports.corrupted(error);
        for (const entry of group) entry.reject(error);
      }
    }
    this.queues.delete(queue.subject);
  }

  /** Decides and appends; answers everybody but those who did not fit, and returns them. */
  private async commitGroup(
    queue: Queue<State, Command, Refusal>,
    group: readonly Entry<State, Command, Refusal>[],
  ): Promise<readonly Entry<State, Command, Refusal>[]> {
    const { subject, stream, id } = queue;
    const deadline_ms = performance.now() + DEADLINE_MS;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const guess = attempt === 1 && group.every(({ options }) => options.is_new);
      const cached = this.cached(subject) ?? (guess ? untouched(this.aggregate.decider.initial) : undefined);
      const held = cached ?? (await this.read(stream, subject, deadline_ms));
      const key = await this.keyOf(subject, held, group);
      const trial = new Trial(held, {
        subject,
        id,
        decider: this.aggregate.decider,
        codec: this.codec,
        key: openKey(key),
      });
      const settled = group.map(({ identified }) => this.decide(trial, identified));
      const proposed = await this.propose(id, trial, group);

      let after: Held<State> | undefined = held;
      try {
        if (trial.event_count > 0) after = await this.commit(queue, trial, held, key, deadline_ms);
        else if (cached) after = await this.confirmed(stream, held, subject, deadline_ms);
      } catch (error) {
        if (proposed) this.follow_up?.settled('abandoned', proposed);
        throw error;
      }
      if (!after) {
        if (proposed) this.follow_up?.settled('abandoned', proposed);
        this.ports.held.delete(subject);
        continue; // L3
      }
      if (proposed)
        this.follow_up?.settled(after === held ? 'abandoned' : 'committed', { ...proposed, state: after.state });
      return this.answer(stream, after, group, settled);
    }
    throw new ConflictsExhausted(subject, ATTEMPTS_MAX);
  }

  private decide(trial: Trial<State, Command, Event, Refusal>, identified: Identified<Command>): Settled<Refusal> {
    try {
      return trial.decide(identified, new Date(this.ports.now_ms()).toISOString());
    } catch (error) {
      return { kind: 'fault', error }; // L4
    }
  }

  private async propose(
    id: string,
    trial: Trial<State, Command, Event, Refusal>,
    group: readonly Entry<State, Command, Refusal>[],
  ): Promise<Proposed<State, Command> | undefined> {
    if (!this.follow_up) return undefined;
    if (trial.event_count === 0 && !group.some(({ options }) => options.propose)) return undefined;
    const proposals = await this.follow_up.propose(trial.state, { id });
    if (proposals.length === 0) return undefined;
    const decided = proposals.map((identified) => this.decide(trial, identified));
    const faults = decided.flatMap((each) => (each.kind === 'fault' ? [each.error] : []));
    return { id, state: trial.state, proposals, kinds: decided.map(({ kind }) => kind), faults };
  }

  /** Undefined on a conflict. */
  private async commit(
    { subject, stream }: Queue<State, Command, Refusal>,
    trial: Trial<State, Command, Event, Refusal>,
    held: Held<State>,
    key: Key | typeof CLOSED_KEY | undefined,
    deadline_ms: number,
  ): Promise<Held<State> | undefined> {
    const { line, state, time, commands, event_count } = trial;
    const hash = sha256Hex(line);
    const seen = held.seen.with(commands);
    const revision = held.revision + 1;
    const riding = { subject, hash, line_bytes: line.length, version: this.version, key };
    const carriage = carry(held.since, { state, revision, seen }, riding);
    const key_id = held.key_id ?? openKey(key)?.key_id;
    const headers = writeHeaders({
      stream: stream.name,
      expected: held.sequence,
      commands,
      previous: held.hash,
      state: carriage.header,
      key_id,
    });
    const body = carriage.line === undefined ? line : Buffer.concat([line, Buffer.from(`\n${carriage.line}`)]);
    const proposal = { subject, expected: held.sequence, headers, body };
    const ready = () => this.ports.writable(deadline_ms);
    const appended = await append(stream, proposal, deadline_ms, { ready, stalled: this.ports.stalled });
    if (appended.kind === 'conflict') return undefined;
    const { sequence } = appended;
    this.ports.appended(stream, { subject, seq: sequence, data: body, headers, hash, events: trial.recorded });
    const since = carriage.since(sequence);
    const after: Held<State> = { state, revision, sequence, index: event_count - 1, hash, time, seen, key_id, since };
    if (this.aggregate.ended?.(state)) this.ports.held.delete(subject);
    else this.ports.held.set(subject, after);
    return after;
  }

  /** The same state, if it is still the last (L2). */
  private async confirmed(
    stream: EventStream,
    held: Held<State>,
    subject: string,
    deadline_ms: number,
  ): Promise<Held<State> | undefined> {
    const last = await this.lastOf(stream, subject, deadline_ms);
    return (last?.seq ?? 0) === held.sequence ? held : undefined;
  }

  private answer(
    stream: EventStream,
    after: Held<State>,
    group: readonly Entry<State, Command, Refusal>[],
    settled: readonly Settled<Refusal>[],
  ): readonly Entry<State, Command, Refusal>[] {
    const { state, revision } = after;
    const position = this.positionOf(stream, after);
    return group.filter((entry, index) => {
      const decided = settled[index];
      if (!decided || decided.kind === 'deferred') return true;
      if (decided.kind === 'fault') entry.reject(decided.error);
      else entry.resolve({ ...decided, state, position, revision });
      return false;
    });
  }

  /** The key that sealed fields of this aggregate are under: its own, or the one that it is created with. */
  private async keyOf(
    subject: string,
    held: Held<State>,
    group: readonly Entry<State, Command, Refusal>[],
  ): Promise<Key | typeof CLOSED_KEY | undefined> {
    const key_id = held.key_id ?? group.find(({ options }) => options.key_id)?.options.key_id;
    if (key_id === undefined) return undefined;
    const secret = await this.ports.keyring.get(key_id);
    if (secret) return { key_id, secret };
    if (held.key_id === undefined) throw new KeyDestroyed(`${key_id} (for ${subject})`);
    return CLOSED_KEY;
  }

  /** Only this log puts states of its aggregates there. */
  private cached(subject: string): Held<State> | undefined {
    return this.ports.held.get(subject) as Held<State> | undefined;
  }

  private positionOf(stream: EventStream, { sequence, index }: Held<State>): Position {
    return positionOf(stream.number, { incarnation: this.ports.incarnationOf(stream), sequence, index });
  }

  // Loading

  /** From the cache where that is still the last, else from the log. */
  private async read(stream: EventStream, subject: string, deadline_ms: number): Promise<Held<State>> {
    try {
      const last = await this.lastOf(stream, subject, deadline_ms);
      if (!last) return untouched(this.aggregate.decider.initial);
      const cached = this.cached(subject);
      // One that was appended while the leader was answering is newer than the answer.
      if (cached && cached.sequence >= last.seq) return cached;
      const held = await this.fold(stream, subject, last, deadline_ms);
      const newer = this.cached(subject);
      if (!newer || newer.sequence < held.sequence) this.ports.held.set(subject, held);
      return held;
    } catch (error) {
      if (error instanceof LogCorrupted) this.ports.corrupted(error);
      throw error;
    }
  }

  /** The last message of a subject. What this process has seen there before must still be there (E2). */
  private async lastOf(stream: EventStream, subject: string, deadline_ms: number): Promise<LogMessage | undefined> {
    const seen = this.cached(subject)?.sequence ?? 0;
    const patience_ms = performance.now() + STALE_MS_MAX;
    for (;;) {
      const last = await untilAnswered(() => stream.last(subject), deadline_ms);
      const end = last?.seq ?? 0;
      if (end >= seen) return last;
      if (performance.now() > patience_ms) throw new LogCorrupted(`${subject} ended at ${seen} and now ends at ${end}`);
      await pause(STALE_PAUSE_MS);
    }
  }

  private async fold(
    stream: EventStream,
    subject: string,
    last: LogMessage,
    deadline_ms: number,
  ): Promise<Held<State>> {
    const end = new StoredCommit(last);
    const get = async (sequence: number): Promise<StoredCommit> => {
      const message = await untilAnswered(() => stream.at(sequence), deadline_ms);
      if (!message) throw new LogCorrupted(`${subject} names commit ${sequence}, which is not there`);
      return new StoredCommit(message);
    };
    if (end.state === 'self') {
      const held = await this.opened(end, 0);
      return held ?? this.walk(stream, subject, last.seq, deadline_ms);
    }
    const before = readBefore(end.state);
    if (!before) return this.walk(stream, subject, last.seq, deadline_ms);
    const { carrier, sequences } = before;
    const commits = await Promise.all([...(carrier === undefined ? [] : [carrier]), ...sequences].map(get));
    const base =
      carrier === undefined ? untouched(this.aggregate.decider.initial) : await this.opened(commits[0] ?? end, 0);
    if (!base) return this.walk(stream, subject, last.seq, deadline_ms);
    const rest = carrier === undefined ? commits : commits.slice(1);
    return this.foldOnto(base, [...rest, end]);
  }

  /** Undefined when the state that the commit carries cannot be used. */
  private async opened(commit: StoredCommit, bytes: number): Promise<Held<State> | undefined> {
    const { carried, subject, hash, key_id, sequence, stored } = commit;
    if (carried === undefined) throw new LogCorrupted(`commit ${sequence} on ${subject} does not carry its state`);
    const secret = key_id === undefined ? undefined : await this.ports.keyring.get(key_id);
    const opened = openCarried<State>(carried, { subject, hash, version: this.version, secret });
    if (!opened) return undefined;
    const { state, revision, seen, state_bytes } = opened;
    const since: Since = { carrier: sequence, sequences: [], bytes, state_bytes };
    return { state, revision, sequence, index: stored.length - 1, hash, time: timeOf(stored), seen, key_id, since };
  }

  /** Every commit of the aggregate, from its first: the way that always works. */
  private async walk(stream: EventStream, subject: string, end: number, deadline_ms: number): Promise<Held<State>> {
    let held = untouched(this.aggregate.decider.initial);
    while (held.sequence < end) {
      const from = held.sequence + 1;
      const message = await untilAnswered(() => stream.next(subject, from), deadline_ms);
      if (!message) throw new LogCorrupted(`${subject} ends at ${held.sequence} and not at ${end}`);
      held = await this.foldOnto(held, [new StoredCommit(message)]);
    }
    return held;
  }

  private async foldOnto(base: Held<State>, commits: readonly StoredCommit[]): Promise<Held<State>> {
    const key_ids = new Set(commits.flatMap(({ stored }) => stored.flatMap((event) => [...this.codec.keyIds(event)])));
    const secret = await openAll(this.ports.keyring, key_ids);
    return commits.reduce((held, commit) => this.foldCommit(held, commit, secret), base);
  }

  private foldCommit(
    held: Held<State>,
    commit: StoredCommit,
    secret: (key_id: string) => KeyObject | undefined,
  ): Held<State> {
    const { subject, sequence, previous, hash, stored, key_id } = commit;
    if (previous !== held.hash)
      throw new LogCorrupted(`commit ${sequence} on ${subject} does not follow commit ${held.sequence}`);
    const state = stored.reduce((folded, event, index) => {
      // The codec has made sure that this is an event of the catalogue.
      const message = messageOf(this.codec.decode(event, index, subject, secret)) as Event;
      return this.aggregate.decider.evolve(folded, message);
    }, held.state);
    const { carrier, sequences, bytes, state_bytes } = held.since;
    const since: Since =
      commit.state === 'self'
        ? { ...nothingSince, carrier: sequence, state_bytes }
        : { carrier, sequences: sequences && [...sequences, sequence], bytes: bytes + commit.raw.length, state_bytes };
    return {
      state,
      revision: held.revision + 1,
      sequence,
      index: stored.length - 1,
      hash,
      time: timeOf(stored),
      seen: held.seen.with(commit.commands),
      key_id: held.key_id ?? key_id,
      since,
    };
  }
}

const timeOf = (stored: readonly CloudEvent[]): string => stored.at(-1)?.time ?? '';

const openKey = (key: Key | typeof CLOSED_KEY | undefined): Key | undefined => (key === CLOSED_KEY ? undefined : key);
