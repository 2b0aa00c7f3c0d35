// The event log
//
// The one way to write: decide on the last state, append the decision's events as one message with an expectation, and
// answer from the decision.
//
//   E1. Nothing is written before the start checks have passed and the log has been read from end to end, where
//       somebody reads it, nor after a connection was lost until the log has been found as it was left; where the
//       server was started again meanwhile, all of it is read again.
//   E2. A log that contradicts itself is read-only until a person has looked; reads go on.
//   E3. A message that this connection may not publish is a mistake in the deployment: the process is told to end.

import { setTimeout as pause } from 'node:timers/promises';
import { PermissionViolationError, type NatsConnection } from '@nats-io/nats-core';
import type { Message, Rejection } from '@nexusmon/kernel';
import type { Keyring } from '@nexusmon/keys';
import type { RequestMux } from '@nexusmon/messaging';
import { LRUCache } from 'lru-cache';
import { AggregateLog, type LogPorts } from './aggregate-log.js';
import type { Aggregate, ExecuteOptions, FollowUp, Identified, Loaded, Outcome, OwnMessage } from './aggregate.js';
import { isUnanswered, untilAnswered } from './append.js';
import type { StreamIdentity } from './commit.js';
import { LogReadOnly, LogUnavailable } from './errors.js';
import { EventStream, type StreamInfo } from './event-stream.js';
import { anyOf, partitionOf, streamName, streamOf } from './names.js';
import { incarnationOf, type PositionVector } from './position.js';
import {
  checkpointFaults,
  configFaults,
  durabilityFaults,
  stateFaults,
  type Checkpoint,
  type Monitor,
} from './start-checks.js';
import type { Held } from './state.js';
import { WriteStall } from './write-stall.js';

const HELD_MAX = 2_000;
const HELD_BYTES_MAX = 8 * 1024 * 1024;
/** What a held aggregate costs besides its state and what was added to it: ids, hashes, list of sequences. */
const HELD_OVERHEAD_BYTES = 2_048;
const RECHECK_PAUSE_MS = 100;
const START_MS_MAX = 5_000;

export type EventLogOptions = Readonly<{
  connection: NatsConnection;
  mux: RequestMux;
  keyring: Keyring;
  /** How many streams the log was born with. @default 1 */
  streams?: number;
  /** Where to ask whether the server syncs; without it the log stays read-only. */
  monitor: Monitor | undefined;
  /** Told of every commit of this log, once it is acknowledged. */
  onAppended?: (stream: number, own: OwnMessage) => void;
  /** Told when this process cannot go on. It must end. */
  onFatal: (error: Error) => void;
  /** Milliseconds since 1970. @default Date.now */
  now_ms?: () => number;
}>;

export type LogStatus = Readonly<{ writable: true }> | Readonly<{ writable: false; reason: string }>;

type Standing = Readonly<{ incarnation: string; last_sequence: number }>;

/** Of what is refused on a connection only an append is the log's affair: an answer may come too late for its asker. */
const isRefusedAppend = (error: Error): boolean =>
  error instanceof PermissionViolationError && error.operation === 'publish' && error.subject.startsWith('evt.');

const inTime = async (done: Promise<void> | undefined, deadline_ms: number, otherwise: string): Promise<void> => {
  if (!done) return;
  const left_ms = Math.max(0, deadline_ms - performance.now());
  const is_done = done.then(() => true);
  if (!(await Promise.race([is_done, pause(left_ms, false, { ref: false })]))) throw new LogUnavailable(otherwise);
};

export class EventLog {
  private readonly connection: NatsConnection;
  private readonly monitor: Monitor | undefined;
  private readonly onFatal: (error: Error) => void;
  private readonly stall: WriteStall;
  private readonly streams: readonly EventStream[];
  private readonly held = new LRUCache<string, Held<unknown>>({
    max: HELD_MAX,
    maxSize: HELD_BYTES_MAX,
    sizeCalculation: ({ since }) => since.state_bytes + since.bytes + HELD_OVERHEAD_BYTES,
  });
  private readonly logs = new Map<object, unknown>();
  private readonly standings = new Map<string, Standing>();
  private readonly ports: LogPorts;
  private reason: string | undefined = 'it has not been checked yet';
  /** From a lost connection until the log has been found again; how often it was lost meanwhile. */
  private lost: Promise<void> | undefined;
  private losses = 0;
  /** Until what was there at the start has been read. */
  private unread: Promise<void> | undefined;
  private read: (() => Promise<void>) | undefined;
  private server_id: string | undefined;
  private watching = false;

  constructor(options: EventLogOptions) {
    const { connection, mux, keyring, streams = 1, monitor, onFatal, onAppended, now_ms = Date.now } = options;
    this.connection = connection;
    this.monitor = monitor;
    this.onFatal = onFatal;
    this.stall = new WriteStall(monitor);
    this.streams = Array.from({ length: streams }, (_, number) => new EventStream(mux, number, streamName(number)));
    this.ports = {
      streamOf: (id) => this.streamOf(id),
      incarnationOf: ({ name }) => this.standingOf(name).incarnation,
      keyring,
      held: this.held,
      now_ms,
      writable: (deadline_ms) => this.writable(deadline_ms),
      stalled: () => this.stall.ask(),
      appended: ({ name, number }, own) => {
        this.noteAppended(name, own.seq);
        onAppended?.(number, own);
      },
      corrupted: (error) => this.refuseWrites(error.message),
    };
  }

  /**
   * Reads everything back that a write relies on. Never throws for what it finds: `status` says it. `read` has the log
   * read from end to end, and has called `refuseWrites` for what was found when it resolves.
   */
  async start(checkpoints: readonly Checkpoint[] = [], read?: () => Promise<void>): Promise<LogStatus> {
    this.read = read;
    this.server_id = this.connection.info?.server_id;
    this.unread = read?.().finally(() => (this.unread = undefined));
    const deadline_ms = performance.now() + START_MS_MAX;
    const infos = await Promise.all(this.streams.map((stream) => untilAnswered(() => stream.info(), deadline_ms)));
    const count = this.streams.length;
    for (const [number, info] of infos.entries()) {
      const name = streamName(number);
      this.standings.set(name, { incarnation: incarnationOf(name, info.created), last_sequence: info.state.last_seq });
    }
    const [durability, differences] = await Promise.all([
      durabilityFaults(this.monitor),
      checkpointFaults(checkpoints, this.streams),
    ]);
    const faults = infos.flatMap((info, number) => [
      ...configFaults(info, number, count),
      ...stateFaults(info, number),
    ]);
    const found = [...faults, ...durability, ...differences];
    this.reason = found.length > 0 ? found.join('; ') : undefined;
    if (!this.watching) void this.watch();
    return this.status();
  }

  status(): LogStatus {
    return this.reason === undefined ? { writable: true } : { writable: false, reason: this.reason };
  }

  /** Why nothing can be appended for now, as far as an append has met it. It passes by itself. */
  async whyStalled(): Promise<string | undefined> {
    return this.stall.isKnown ? this.stall.ask() : undefined;
  }

  /** Compares the log with what others have stored about it; what differs makes it read-only (E2). */
  async verifyCheckpoints(checkpoints: readonly Checkpoint[]): Promise<LogStatus> {
    const differences = await checkpointFaults(checkpoints, this.streams);
    if (differences.length > 0) this.refuseWrites(differences.join('; '));
    return this.status();
  }

  /** Nothing is written from here on. */
  refuseWrites(reason: string): void {
    this.reason ??= reason;
  }

  /** The streams as found at the start, for readers and for positions. */
  identities(): readonly StreamIdentity[] {
    return this.streams.map(({ number, name }) => ({ number, name, incarnation: this.standingOf(name).incarnation }));
  }

  /** The last commit of any aggregate of this kind in each stream that has one, as the leaders say now. */
  async lastOfKind({ context, name }: Readonly<{ context: string; name: string }>): Promise<PositionVector> {
    const deadline_ms = performance.now() + START_MS_MAX;
    const subject = anyOf(context, name);
    const last = await Promise.all(
      this.streams.map((stream) => untilAnswered(() => stream.last(subject), deadline_ms)),
    );
    return new Map(
      this.streams.flatMap((stream, index) => {
        const sequence = last[index]?.seq;
        const { incarnation } = this.standingOf(stream.name);
        return sequence === undefined ? [] : [[stream.number, { incarnation, sequence, index: 0 }] as const];
      }),
    );
  }

  /** Adds what runs after each group of an aggregate's commands has been decided. Once per aggregate. */
  register<State, Command extends Message, Event extends Message, Refusal extends Rejection>(
    aggregate: Aggregate<State, Command, Event, Refusal>,
    { follow_up }: Readonly<{ follow_up: FollowUp<State, Command> }>,
  ): void {
    this.of(aggregate).followWith(follow_up);
  }

  /**
   * Does a command once, however often it is sent. Rejections are values. Throws `LogUnavailable` and `LogReadOnly`,
   * after which the same command may be sent again, and the faults of errors.ts.
   */
  async execute<State, Command extends Message, Event extends Message, Refusal extends Rejection>(
    aggregate: Aggregate<State, Command, Event, Refusal>,
    id: string,
    identified: Identified<Command>,
    options: ExecuteOptions = {},
  ): Promise<Outcome<State, Refusal>> {
    return this.of(aggregate).execute(id, identified, options);
  }

  /** The state as of the last commit; the aggregate's initial state at revision 0 where there is none. */
  async load<State, Command extends Message, Event extends Message, Refusal extends Rejection>(
    aggregate: Aggregate<State, Command, Event, Refusal>,
    id: string,
  ): Promise<Loaded<State>> {
    return this.of(aggregate).load(id);
  }

  /** Whether the aggregate has seen a command of this id: an unkeyed one is forgotten after a while. */
  async knows<State, Command extends Message, Event extends Message, Refusal extends Rejection>(
    aggregate: Aggregate<State, Command, Event, Refusal>,
    id: string,
    command_id: string,
  ): Promise<boolean> {
    return this.of(aggregate).knows(id, { command_id });
  }

  private of<State, Command extends Message, Event extends Message, Refusal extends Rejection>(
    aggregate: Aggregate<State, Command, Event, Refusal>,
  ): AggregateLog<State, Command, Event, Refusal> {
    // One log per aggregate object, so its type is the one that it was made with.
    const known = this.logs.get(aggregate) as AggregateLog<State, Command, Event, Refusal> | undefined;
    if (known) return known;
    const log = new AggregateLog(aggregate, this.ports);
    this.logs.set(aggregate, log);
    return log;
  }

  private streamOf(id: string): EventStream {
    const stream = this.streams[streamOf(partitionOf(id), this.streams.length)];
    if (!stream) throw new RangeError(`no stream for ${id}`);
    return stream;
  }

  private standingOf(name: string): Standing {
    const standing = this.standings.get(name);
    if (!standing) throw new LogUnavailable(`stream ${name} has not been found yet`);
    return standing;
  }

  private noteAppended(name: string, sequence: number): void {
    const standing = this.standingOf(name);
    if (sequence > standing.last_sequence) this.standings.set(name, { ...standing, last_sequence: sequence });
  }

  private async writable(deadline_ms: number): Promise<void> {
    await inTime(this.lost, deadline_ms, 'the connection was lost, and the log has not been found again');
    if (this.reason === undefined)
      await inTime(this.unread, deadline_ms, 'what is in the log is being read before anything is added');
    if (this.reason !== undefined) throw new LogReadOnly(this.reason);
    const stalled = this.stall.isKnown ? await this.stall.ask() : undefined;
    if (stalled !== undefined) throw new LogUnavailable(stalled);
  }

  private async watch(): Promise<void> {
    this.watching = true;
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') {
        this.losses += 1;
        this.lost ??= this.recheck().catch((error: unknown) => this.failCheck(error));
      }
      if (status.type === 'error' && isRefusedAppend(status.error)) this.onFatal(status.error); // E3
    }
  }

  /** E1: the server may come back with less than it had acknowledged, and would give its sequences out again. */
  private async recheck(): Promise<void> {
    try {
      for (let losses = 0; losses !== this.losses;) {
        losses = this.losses;
        for (const stream of this.streams) {
          const info = await this.infoAgain(stream);
          if (!info) return;
          const faults = this.returnFaults(stream, info);
          if (faults.length > 0) this.refuseWrites(faults.join('; '));
        }
        const server_id = this.connection.info?.server_id;
        if (server_id !== this.server_id && this.reason === undefined) await this.read?.();
        this.server_id = server_id;
      }
    } finally {
      this.lost = undefined;
    }
  }

  private failCheck(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.refuseWrites(`it could not be checked again: ${failure.message}`);
    this.onFatal(failure);
  }

  private returnFaults({ name, number }: EventStream, info: StreamInfo): string[] {
    const { incarnation, last_sequence } = this.standingOf(name);
    const faults = [...configFaults(info, number, this.streams.length), ...stateFaults(info, number)];
    if (incarnationOf(name, info.created) !== incarnation) faults.push(`${name} was made anew`);
    else if (info.state.last_seq < last_sequence)
      faults.push(`${name} had reached ${last_sequence} and came back ending at ${info.state.last_seq}`);
    return faults;
  }

  /** Undefined once the connection is closed for good. */
  private async infoAgain(stream: EventStream): Promise<StreamInfo | undefined> {
    for (;;) {
      try {
        return await stream.info();
      } catch (error) {
        if (this.connection.isClosed() || this.connection.isDraining()) return undefined;
        if (!isUnanswered(error) && !(error instanceof LogUnavailable)) throw error;
        await pause(RECHECK_PAUSE_MS, undefined, { ref: false });
      }
    }
  }
}
