/**
 * Something that an answer depends on is away; the same request may succeed later. Errors of other packages count as
 * this kind when they name a `dependency`.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
  constructor(
    readonly dependency: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${dependency} is unavailable: ${reason}`, options);
  }
}

/** The request or its answer broke a rule of ours: no retry mends it. */
export const INTERNAL = 'internal';

export type Dependent = Error & Readonly<{ dependency: string }>;

export const isDependent = (error: unknown): error is Dependent =>
  error instanceof Error && 'dependency' in error && typeof error.dependency === 'string';
