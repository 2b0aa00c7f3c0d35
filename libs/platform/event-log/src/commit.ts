// Commits
//
// One decision's events, as one message. Line 1 of the body is the canonical JSON array of its CloudEvents and is what
// proofs cover; line 2, where there is one, is the folded state, a cache that nothing is ever derived from.
//
//   M1. Stored bytes are hashed, never bytes that were written again from a parsed value.
//   M2. `Nexusmon-Previous` is the SHA-256 of line 1 of the aggregate's previous commit, and empty on its first.

import { MsgHdrsImpl, type MsgHdrs } from '@nats-io/nats-core';
import type { Keyring } from '@nexusmon/keys';
import { cloudEvent, type Catalogue, type CloudEvent } from '@nexusmon/shared-contract';
import { sha256Hex } from './canonical.js';
import { EventCodec, openAll, parseType, type RecordedEvent } from './codec.js';
import { CommitUnreadable, UnknownEventVersion } from './errors.js';
import { parseSubject } from './names.js';
import { positionOf, type Position } from './position.js';
import type { SeenCommand } from './seen-commands.js';

/** What line 1 may hold. Larger values travel through the vault. */
export const COMMIT_BYTES_MAX = 256 * 1024;
export const SCHEMA = '1';

export const HEADER = {
  stream: 'Nats-Expected-Stream',
  expected: 'Nats-Expected-Last-Subject-Sequence',
  commands: 'Nexusmon-Commands',
  schema: 'Nexusmon-Schema',
  previous: 'Nexusmon-Previous',
  state: 'Nexusmon-State',
  key: 'Nexusmon-Key',
} as const;

const NEWLINE = 0x0a;

export const commandsHeader = (commands: readonly SeenCommand[]): string =>
  commands
    .map(({ command_id, request_digest }) => (request_digest ? `${command_id}:${request_digest}` : command_id))
    .join(',');

const parseCommands = (text: string): SeenCommand[] =>
  text.split(',').map((entry) => {
    const [command_id = '', request_digest] = entry.split(':');
    return { command_id, request_digest };
  });

/** Which commits a load has to read: see `Nexusmon-State` in state.ts. */
export type CommitHeaders = Readonly<{
  stream: string;
  expected: number;
  commands: readonly SeenCommand[];
  previous: string;
  state: string;
  key_id: string | undefined;
}>;

export const writeHeaders = (commit: CommitHeaders): MsgHdrs => {
  // At once: setting one after the other looks through all of them each time. No value here has a line break in it.
  return MsgHdrsImpl.fromRecord({
    [HEADER.stream]: [commit.stream],
    [HEADER.expected]: [String(commit.expected)],
    [HEADER.commands]: [commandsHeader(commit.commands)],
    [HEADER.schema]: [SCHEMA],
    ...(commit.previous ? { [HEADER.previous]: [commit.previous] } : {}),
    [HEADER.state]: [commit.state],
    ...(commit.key_id === undefined ? {} : { [HEADER.key]: [commit.key_id] }),
  });
};

/** What a message of an event stream must have, however it was read. */
export type LogMessage = Readonly<{ subject: string; seq: number; data: Uint8Array; headers?: MsgHdrs | undefined }>;

/** The stream that a message came from. */
export type StreamIdentity = Readonly<{ number: number; name: string; incarnation: string }>;

/** A commit as it lies in the log. Nothing is parsed before it is asked for, and then once. */
export class StoredCommit {
  readonly context: string;
  readonly aggregate: string;
  readonly id: string;
  /** `<context>.<aggregate>`. */
  readonly kind: string;
  /** Line 1 as it was stored. */
  readonly raw: Uint8Array;
  private parsed: readonly CloudEvent[] | undefined;
  private digest: string | undefined;
  private command_list: readonly SeenCommand[] | undefined;

  constructor(private readonly message: LogMessage) {
    const parts = parseSubject(message.subject);
    if (!parts) throw this.unreadable('its subject is not that of an aggregate');
    if (message.headers?.get(HEADER.schema) !== SCHEMA) throw this.unreadable(`its schema is not ${SCHEMA}`);
    ({ context: this.context, aggregate: this.aggregate, id: this.id } = parts);
    this.kind = `${this.context}.${this.aggregate}`;
    const end = message.data.indexOf(NEWLINE);
    this.raw = end < 0 ? message.data : message.data.subarray(0, end);
  }

  get subject(): string {
    return this.message.subject;
  }

  get sequence(): number {
    return this.message.seq;
  }

  /** SHA-256 of line 1: what the next commit and every checkpoint name it by. */
  get hash(): string {
    return (this.digest ??= sha256Hex(this.raw));
  }

  get previous(): string {
    return this.header(HEADER.previous);
  }

  /** The sequence that it was appended after: that of the aggregate's previous commit, 0 for its first. */
  get expected(): number {
    return Number(this.header(HEADER.expected));
  }

  get state(): string {
    return this.header(HEADER.state);
  }

  get key_id(): string | undefined {
    return this.header(HEADER.key) || undefined;
  }

  get commands(): readonly SeenCommand[] {
    return (this.command_list ??= parseCommands(this.header(HEADER.commands)));
  }

  /** Line 2; undefined where there is none. */
  get carried(): string | undefined {
    if (this.raw.length === this.message.data.length) return undefined;
    return Buffer.from(this.message.data.subarray(this.raw.length + 1)).toString('utf8');
  }

  /** The events as stored, sealed fields still sealed. */
  get stored(): readonly CloudEvent[] {
    return (this.parsed ??= this.parse());
  }

  private header(name: string): string {
    return this.message.headers?.get(name) ?? '';
  }

  private parse(): readonly CloudEvent[] {
    let events: unknown;
    try {
      events = JSON.parse(Buffer.from(this.raw.buffer, this.raw.byteOffset, this.raw.byteLength).toString('utf8'));
    } catch (cause) {
      throw this.unreadable('line 1 is not JSON', { cause });
    }
    if (!Array.isArray(events) || events.length === 0) throw this.unreadable('line 1 is not an array of events');
    // The envelope only, field by field where it is used: data was validated when it was written.
    for (const event of events) if (!isEnvelope(event)) throw this.unreadable('an element is not a CloudEvent');
    return events as CloudEvent[];
  }

  private unreadable(reason: string, options?: ErrorOptions): CommitUnreadable {
    return new CommitUnreadable(this.message.subject, this.message.seq, reason, options);
  }
}

const ENVELOPE = Object.keys(cloudEvent.shape).filter((name) => name !== 'data' && name !== 'traceparent');
const isEnvelope = (event: unknown): event is CloudEvent => {
  if (typeof event !== 'object' || event === null || !('data' in event)) return false;
  if (typeof event.data !== 'object' || event.data === null) return false;
  const fields = event as Record<string, unknown>;
  return ENVELOPE.every((name) => typeof fields[name] === 'string');
};

/** The bytes of each element of line 1: the leaves of the audit tree. */
export const leavesOf = (raw: Uint8Array): Uint8Array[] => {
  const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, BEGIN, END] = [0x22, 0x5c, 0x2c, 0x7b, 0x7d, 0x5b, 0x5d];
  const leaves: Uint8Array[] = [];
  let depth = 0;
  let start = 1;
  for (let at = 1; at < raw.length - 1; at += 1) {
    const byte = raw[at];
    if (byte === QUOTE) {
      for (at += 1; raw[at] !== QUOTE && at < raw.length; at += 1) if (raw[at] === BACKSLASH) at += 1;
    } else if (byte === OPEN || byte === BEGIN) depth += 1;
    else if (byte === CLOSE || byte === END) depth -= 1;
    else if (byte === COMMA && depth === 0) {
      leaves.push(raw.subarray(start, at));
      start = at + 1;
    }
  }
  leaves.push(raw.subarray(start, raw.length - 1));
  return leaves;
};

/** The contracts that a process can read, by context and aggregate. */
export class Catalogues {
  private readonly codecs = new Map<string, EventCodec>();

  constructor(aggregates: readonly Readonly<{ context: string; name: string; events: Catalogue }>[]) {
    for (const { context, name, events } of aggregates)
      this.codecs.set(`${context}.${name}`, new EventCodec(context, events));
  }

  knows(context: string, aggregate: string): boolean {
    return this.codecs.has(`${context}.${aggregate}`);
  }

  find(context: string, aggregate: string): EventCodec | undefined {
    return this.codecs.get(`${context}.${aggregate}`);
  }
}

export type EventFilter = (event: Readonly<{ context: string; aggregate: string; name: string }>) => boolean;

/** A commit for readers of the whole log: projections, reactors, SSE, audit. */
export class Commit extends StoredCommit {
  constructor(
    message: LogMessage,
    private readonly catalogues: Catalogues,
    private readonly keyring: Keyring,
    readonly stream: StreamIdentity,
  ) {
    super(message);
  }

  get incarnation(): string {
    return this.stream.incarnation;
  }

  /** The position of an event in it; of its last event when none is named. */
  position(index = this.stored.length - 1): Position {
    return positionOf(this.stream.number, { incarnation: this.stream.incarnation, sequence: this.sequence, index });
  }

  /**
   * The events that are wanted, opened and in their latest version. A wanted event of unknown type or version throws
   * `UnknownEventVersion`; an event that is not wanted costs nothing.
   */
  async open(wanted: EventFilter = () => true): Promise<readonly RecordedEvent[]> {
    const { context, aggregate } = this;
    const chosen = this.stored.flatMap((event, index) => {
      const name = parseType(event.type)?.name;
      if (name === undefined) throw new UnknownEventVersion(event.type);
      return wanted({ context, aggregate, name }) ? [{ event, index }] : [];
    });
    const first = chosen[0];
    if (!first) return [];
    const codec = this.catalogues.find(context, aggregate);
    if (!codec) throw new UnknownEventVersion(first.event.type);
    const secret = await openAll(this.keyring, new Set(chosen.flatMap(({ event }) => [...codec.keyIds(event)])));
    return chosen.map(({ event, index }) => codec.decode(event, index, this.subject, secret));
  }
}

/** Nothing is parsed yet: what cannot be a commit throws here, what cannot be understood throws where it is opened. */
export const decodeCommit = (
  message: LogMessage,
  catalogues: Catalogues,
  keyring: Keyring,
  stream: StreamIdentity,
): Commit => new Commit(message, catalogues, keyring, stream);
