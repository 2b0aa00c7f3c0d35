import type { ExitCode } from './exit-codes.js';

export type FaultParts = Readonly<{
  /** Stable, as the codes of the gateway are. */
  code: string;
  what: string;
  why?: string;
  /** What to type next. */
  next?: string;
  exit: ExitCode;
  cause?: unknown;
}>;

/** What a person, or a script, is told instead of an answer. */
export class CliFault extends Error {
  override readonly name = 'CliFault';

  constructor(readonly parts: FaultParts) {
    super(parts.what, parts.cause === undefined ? {} : { cause: parts.cause });
  }
}

/** The reason with which everything under way is called off. */
export class Ended extends Error {
  override readonly name = 'Ended';

  constructor(
    readonly exit: ExitCode,
    message: string,
  ) {
    super(message);
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;

export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.some((code) => code === codeOf(error));
