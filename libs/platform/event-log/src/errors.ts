/** The log cannot be asked or written just now. The command keeps its id: sending it again is safe. */
export class LogUnavailable extends Error {
  override readonly name = 'LogUnavailable';
  /** What the caller depends on and cannot have: read by whoever turns errors into answers. */
  readonly dependency = 'log';
  constructor(reason: string, options?: ErrorOptions) {
    super(`the log is unavailable: ${reason}`, options);
  }
}

/** This process may read the log but will not write it, because something about it is not as it must be. */
export class LogReadOnly extends Error {
  override readonly name = 'LogReadOnly';
  readonly dependency = 'log';
  /** Tells it from what passes by itself. */
  readonly code = 'log-read-only';
  constructor(readonly reason: string) {
    super(`the log is read-only: ${reason}`);
  }
}

/** What the log holds contradicts itself. Nothing is written after this, until a person has looked. */
export class LogCorrupted extends Error {
  override readonly name = 'LogCorrupted';
}

/** One command's events are more than one commit may hold; larger values travel through the vault. */
export class CommitTooLarge extends Error {
  override readonly name = 'CommitTooLarge';
  readonly code = 'commit-too-large';
  constructor(
    readonly subject: string,
    readonly bytes: number,
    readonly bytes_max: number,
  ) {
    super(`a commit of ${bytes} bytes on ${subject}: at most ${bytes_max} are kept`);
  }
}

/** A decider made an event that its own contract does not allow. */
export class EventInvalid extends Error {
  override readonly name = 'EventInvalid';
}

/** A type or version that this process does not know: written by newer code. Whoever meets it halts. */
export class UnknownEventVersion extends Error {
  override readonly name = 'UnknownEventVersion';
  constructor(readonly type: string) {
    super(`events of type ${type} are unknown here`);
  }
}

/** Bytes on an event stream that are not a commit of ours. */
export class CommitUnreadable extends Error {
  override readonly name = 'CommitUnreadable';
  constructor(
    readonly subject: string,
    readonly sequence: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`message ${sequence} on ${subject} is not a commit: ${reason}`, options);
  }
}

/** Other writers were faster every time. */
export class ConflictsExhausted extends Error {
  override readonly name = 'ConflictsExhausted';
  constructor(
    readonly subject: string,
    readonly attempts: number,
  ) {
    super(`${subject} moved on during each of ${attempts} attempts`);
  }
}

/** An aggregate remembers every keyed command; this one has no room for another. */
export class CommandIdsExhausted extends Error {
  override readonly name = 'CommandIdsExhausted';
  constructor(
    readonly subject: string,
    readonly ids_max: number,
  ) {
    super(`${subject} has seen ${ids_max} keyed commands and takes no more`);
  }
}
