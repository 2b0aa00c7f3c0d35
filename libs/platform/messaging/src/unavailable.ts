/**
 * Something that an answer depends on is away; the same request may succeed later. Errors of other packages count as
 * this kind when they name a `dependency`.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
  readonly code: string | undefined;
  constructor(
    readonly dependency: string,
    reason: string,
    { code, ...options }: ErrorOptions & Readonly<{ code?: string | undefined }> = {},
  ) {
    super(`${dependency} is unavailable: ${reason}`, options);
    this.code = code;
  }
}

/** The request or its answer broke a rule of ours: no retry mends it. */
export const INTERNAL = 'internal';

export type Dependent = Error & Readonly<{ dependency: string; code?: unknown }>;

export const isDependent = (error: unknown): error is Dependent =>
  error instanceof Error && 'dependency' in error && typeof error.dependency === 'string';
