import type { Decider, Message, Rejection } from '@nexusmon/kernel';
import type { Identified, KeyReused } from './aggregate.js';
import { COMMIT_BYTES_MAX } from './commit.js';
import type { EventCodec, RecordedEvent } from './codec.js';
import { CommandIdsExhausted, CommitTooLarge } from './errors.js';
import { isKeyed } from './ids.js';
import { KEYED_MAX, type SeenCommand } from './seen-commands.js';
import type { Held, Key } from './state.js';

export type Decided<Refusal extends Rejection> =
  | Readonly<{ kind: 'accepted'; events: readonly RecordedEvent[] }>
  | Readonly<{ kind: 'nothing' }>
  | Readonly<{ kind: 'rejected'; rejection: Refusal | KeyReused }>
  /** It fits into a commit, but no longer into this one. */
  | Readonly<{ kind: 'deferred' }>;

type Ports<State, Command extends Message, Event extends Message, Refusal extends Rejection> = Readonly<{
  subject: string;
  id: string;
  decider: Decider<State, Command, Event, Refusal>;
  codec: EventCodec;
  key: Key | undefined;
}>;

const [BEGIN, COMMA, END] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')];

/** Decides commands one after the other on what the ones before would add, and keeps the bytes to be appended. */
export class Trial<State, Command extends Message, Event extends Message, Refusal extends Rejection> {
  state: State;
  time: string;
  readonly commands: SeenCommand[] = [];
  /** All events of the commit. */
  readonly recorded: RecordedEvent[] = [];
  /** What line 1 is put together from: each event, with what stands before it. */
  private readonly parts: Buffer[] = [];
  private bytes = 2;

  constructor(
    private readonly held: Held<State>,
    private readonly ports: Ports<State, Command, Event, Refusal>,
  ) {
    this.state = held.state;
    this.time = held.time;
  }

  get event_count(): number {
    return this.recorded.length;
  }

  /** Line 1 of the commit. */
  get line(): Buffer {
    return Buffer.concat([...this.parts, END]);
  }

  decide(identified: Identified<Command>, now: string): Decided<Refusal> {
    const { held, ports } = this;
    const seen = this.find(identified);
    if (seen === 'same') return { kind: 'nothing' };
    if (seen === 'other') return { kind: 'rejected', rejection: { code: 'idempotency-key-reused' } };
    const time = now > this.time ? now : this.time;
    // Only the time was missing.
    const command = { ...identified.command, time } as unknown as Command;
    const decision = ports.decider.decide(command, this.state);
    if (decision.kind === 'rejected') return decision;
    if (decision.events.length === 0) return { kind: 'nothing' };
    if (isKeyed(identified.command_id) && held.seen.keyed_count + this.commands.length >= KEYED_MAX)
      throw new CommandIdsExhausted(ports.subject, KEYED_MAX);
    return this.add(identified, decision.events);
  }

  private add(identified: Identified<Command>, events: readonly Event[]): Decided<Refusal> {
    const { subject, id, key, codec, decider } = this.ports;
    const { command_id, correlation_id, traceparent, request_digest } = identified;
    const stamp = { subject, id, command_id, correlation_id, traceparent, key };
    const first = this.event_count;
    const encoded = events.map((event, index) => codec.encode(event, index, first + index, stamp));
    const bytes = encoded.reduce((sum, each) => sum + each.bytes.length + 1, 0);
    if (this.bytes + bytes > COMMIT_BYTES_MAX) {
      if (first > 0) return { kind: 'deferred' };
      throw new CommitTooLarge(subject, bytes + 1, COMMIT_BYTES_MAX);
    }
    // Folded from what was encoded, so that this state and one folded from the log come from the same data.
    const state = encoded.reduce(
      (folded, { recorded }, index) => decider.evolve(folded, { ...(events[index] as Event), data: recorded.data }),
      this.state,
    );
    this.state = state;
    this.time = encoded.at(-1)?.recorded.time ?? this.time;
    this.bytes += bytes;
    const recorded = encoded.map((each) => each.recorded);
    for (const each of encoded) this.parts.push(this.parts.length === 0 ? BEGIN : COMMA, each.bytes);
    this.recorded.push(...recorded);
    this.commands.push({ command_id, request_digest });
    return { kind: 'accepted', events: recorded };
  }

  private find(command: SeenCommand): 'unseen' | 'same' | 'other' {
    const here = this.commands.find(({ command_id }) => command_id === command.command_id);
    if (!here) return this.held.seen.find(command);
    const { request_digest } = here;
    const same = !request_digest || !command.request_digest || request_digest === command.request_digest;
    return same ? 'same' : 'other';
  }
}
