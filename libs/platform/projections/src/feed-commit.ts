import {
  Commit,
  CommitUnreadable,
  parseType,
  UnknownEventVersion,
  type Aggregate,
  type Catalogues,
  type EventFilter,
  type LogMessage,
  type OwnMessage,
  type Position,
  type RecordedEvent,
  type StreamIdentity,
} from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import type { Message, Rejection } from '@nexusmon/kernel';

/** What of an aggregate its readers need. */
export type Readable = Readonly<Pick<Aggregate<unknown, Message, Message, Rejection>, 'context' | 'name' | 'events'>>;

/** What a commit is read with. */
export type Feeding = Readonly<{
  catalogues: Catalogues;
  keyring: Keyring;
  stream: StreamIdentity;
  /** Told when it turns out that these bytes are no commit. */
  unreadable: (error: CommitUnreadable) => void;
}>;

/** A commit that is opened once for all who read it. */
export class FeedCommit extends Commit {
  private opened: Promise<readonly RecordedEvent[]> | undefined;
  private named: readonly string[] | undefined;

  constructor(
    message: LogMessage,
    private readonly feed: Feeding,
  ) {
    super(message, feed.catalogues, feed.keyring, feed.stream);
  }

  override get stored(): Commit['stored'] {
    try {
      return super.stored;
    } catch (error) {
      if (error instanceof CommitUnreadable) this.feed.unreadable(error);
      throw error;
    }
  }

  /** Whether these letters and digits stand anywhere in it: canonical text has no other way to write them. */
  mentions(word: string): boolean {
    return Buffer.from(this.raw.buffer, this.raw.byteOffset, this.raw.byteLength).includes(word, 0, 'latin1');
  }

  /** What its events are called, without opening them. */
  get names(): readonly string[] {
    this.named ??= this.stored.map(({ type }) => {
      const parts = parseType(type);
      if (!parts) throw new UnknownEventVersion(type);
      return parts.name;
    });
    return this.named;
  }

  /** All its events, opened and in their latest version. Throws `UnknownEventVersion`. */
  events(): Promise<readonly RecordedEvent[]> {
    // A failure is not kept: keys that could not be fetched now may be there at the next try.
    this.opened ??= this.open().catch((error: unknown) => {
      this.opened = undefined;
      throw error;
    });
    return this.opened;
  }
}

/** A commit of this process, as its log has just appended it: there is nothing to parse or to open. */
export class OwnCommit extends FeedCommit {
  private recorded_names: readonly string[] | undefined;

  private readonly recorded: readonly RecordedEvent[];

  constructor(
    private readonly own: OwnMessage,
    feed: Feeding,
  ) {
    super(own, feed);
    this.recorded = own.events;
  }

  override get hash(): string {
    return this.own.hash;
  }

  override get names(): readonly string[] {
    return (this.recorded_names ??= this.recorded.map(({ name }) => name));
  }

  override events(): Promise<readonly RecordedEvent[]> {
    return Promise.resolve(this.recorded);
  }

  override open(wanted: EventFilter = () => true): Promise<readonly RecordedEvent[]> {
    const { context, aggregate } = this;
    return Promise.resolve(this.recorded.filter(({ name }) => wanted({ context, aggregate, name })));
  }

  override position(index = this.recorded.length - 1): Position {
    return super.position(index);
  }
}

/** Which commits, and which of their events, somebody reads. */
export class Interest {
  private readonly kinds: ReadonlySet<string>;
  private readonly wanted: ReadonlySet<string> | undefined;
  private readonly wanted_names: readonly string[] | undefined;

  constructor(reads: readonly Readable[], events: readonly string[] | undefined) {
    this.kinds = new Set(reads.map(({ context, name }) => `${context}.${name}`));
    this.wanted = events && new Set(events);
    this.wanted_names = events;
  }

  has(commit: FeedCommit): boolean {
    const { wanted } = this;
    if (!this.kinds.has(commit.kind)) return false;
    return wanted === undefined || commit.names.some((name) => wanted.has(name));
  }

  /** False where nothing of it is wanted, told without parsing it where the names alone say so. */
  mayHave(commit: FeedCommit): boolean {
    const { wanted_names } = this;
    return this.kinds.has(commit.kind) && (!wanted_names || wanted_names.some((name) => commit.mentions(name)));
  }

  /** The wanted events of a commit; others are not opened. */
  async eventsOf(commit: FeedCommit): Promise<readonly RecordedEvent[]> {
    const { wanted } = this;
    if (!this.has(commit)) return [];
    return wanted === undefined ? commit.events() : commit.open(({ name }) => wanted.has(name));
  }
}
