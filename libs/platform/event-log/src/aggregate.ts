// The words of the log for those who call it.

import type { Decider, Message, Rejection } from '@nexusmon/kernel';
import type { Catalogue } from '@nexusmon/shared-contract';
import type { RecordedEvent } from './codec.js';
import type { LogMessage } from './commit.js';
import type { Position } from './position.js';

/** A kind of aggregate: what it is called, how it decides, and every event that it ever wrote. */
export type Aggregate<State, Command extends Message, Event extends Message, Refusal extends Rejection> = Readonly<{
  context: string;
  name: string;
  decider: Decider<State, Command, Event, Refusal>;
  events: Catalogue;
  /** Raised whenever the same events fold to another state: carried state of other versions is not used. @default 1 */
  state_version?: number;
  /** Whether nothing more is to be expected: such an aggregate is not kept in memory. */
  ended?: (state: State) => boolean;
}>;

/** A message that was just appended, with the hash of its line 1 and its events as a reader would open them. */
export type OwnMessage = LogMessage & Readonly<{ hash: string; events: readonly RecordedEvent[] }>;

/** A command before the log has stamped its time. */
export type Untimed<Command extends Message> = Command extends Message ? Omit<Command, 'time'> : never;

export type Identified<Command extends Message> = Readonly<{
  /** `cmd_` and a UUID: version 8 when its repeat must be recognised for good, else version 7. */
  command_id: string;
  /** SHA-256 of the request: the same id with another digest is refused. */
  request_digest?: string | undefined;
  command: Untimed<Command>;
  /** The mission it belongs to, or the aggregate itself. */
  correlation_id: string;
  traceparent?: string | undefined;
}>;

export type KeyReused = Readonly<{ code: 'idempotency-key-reused' }>;

/** What became of a command. `state` and `position` are those at the end of its commit, or of the last one. */
export type Outcome<State, Refusal extends Rejection> =
  | Readonly<{ kind: 'accepted'; state: State; position: Position; revision: number; events: readonly RecordedEvent[] }>
  | Readonly<{ kind: 'nothing'; state: State; position: Position; revision: number }>
  | Readonly<{ kind: 'rejected'; rejection: Refusal | KeyReused; state: State; position: Position; revision: number }>;

export type Loaded<State> = Readonly<{
  state: State;
  revision: number;
  position: Position;
  /** The data key that its sealed fields are under. */
  key_id: string | undefined;
}>;

export type ExecuteOptions = Readonly<{
  /** The data key of an aggregate that this command creates; one that has a key keeps it. */
  key_id?: string | undefined;
  /**
   * The id has just been made, so nothing is there to load: saves a read. A wrong guess costs one attempt, since the
   * expectation of the append finds it out. @default false
   */
  is_new?: boolean;
  /** Asks the follow-up for proposals even if this command adds nothing. @default false */
  propose?: boolean;
}>;

export type Proposed<State, Command extends Message> = Readonly<{
  id: string;
  /** The state that the proposals were made on. */
  state: State;
  proposals: readonly Identified<Command>[];
  /**
   * What each proposal came to, in the same order. A deferred one did not fit beside the others; one that faulted left
   * the rest as it was, and is for the proposer to report.
   */
  kinds: readonly ('accepted' | 'nothing' | 'rejected' | 'deferred' | 'fault')[];
  /** The error of each proposal that faulted. */
  faults: readonly unknown[];
}>;

/**
 * More to decide in the same commit, asked for once all queued commands of an aggregate have been decided on its
 * provisional state. Whatever `propose` reserves for its proposals is kept when told 'committed' and given back when
 * told 'abandoned'; every answered `propose` is told one of the two, exactly once.
 */
export type FollowUp<State, Command extends Message> = Readonly<{
  propose(state: State, context: Readonly<{ id: string }>): Promise<readonly Identified<Command>[]>;
  settled(outcome: 'committed' | 'abandoned', proposed: Proposed<State, Command>): void;
}>;
