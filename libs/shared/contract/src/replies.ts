// How a service answers a request: the same three kinds everywhere. Only the gateway turns them into HTTP.

import { z } from 'zod';
import { rank } from './words.js';

export const fieldError = z.strictObject({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof fieldError>;

/** A refusal: expected, final for this request. `facts` are named in the problem document. */
export const refusal = z.strictObject({
  code: z.string().regex(/^[a-z0-9-]+$/),
  detail: z.string(),
  errors: z.array(fieldError).optional(),
  facts: z.record(z.string(), z.unknown()).optional(),
});
export type Refusal = z.infer<typeof refusal>;

/**
 * Something the answer depends on is away: the same request may succeed later. `code` names a state that does not pass
 * by itself.
 */
export const unavailable = z.strictObject({
  dependency: z.string(),
  code: z.string().optional(),
  detail: z.string(),
  retry_after_seconds: z.number(),
});

export type Reply<Body> =
  | Readonly<{ kind: 'done'; changed: boolean; position: string; body: Body }>
  | Readonly<{ kind: 'refused'; refusal: Refusal }>
  | Readonly<{ kind: 'unavailable'; unavailable: z.infer<typeof unavailable> }>;

export type Refused = Extract<Reply<never>, { kind: 'refused' }>;

/** What a decider's rejections become: `details` has words for each code, and what stands beside the code are facts. */
export const refusedBy =
  <Code extends string>(details: Readonly<Record<Code, string>>) =>
  (rejection: Readonly<{ code: Code }>): Refused => {
    const { code, ...facts } = rejection;
    const refusal = { code, detail: details[code], ...(Object.keys(facts).length > 0 ? { facts } : {}) };
    return { kind: 'refused', refusal };
  };

/** An answer to a question: nothing was changed, and nothing of it is waited for at a position. */
export const answered = <Body>(body: Body): Reply<Body> => ({ kind: 'done', changed: false, position: '', body });

export const replyOf = <Body extends z.ZodType>(body: Body) =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('done'), changed: z.boolean(), position: z.string(), body }),
    z.strictObject({ kind: z.literal('refused'), refusal }),
    z.strictObject({ kind: z.literal('unavailable'), unavailable }),
  ]);

/**
 * Who asks, on every request between services: the principal, the command's id (from its Idempotency-Key where it has
 * one) and the digest of what was asked, so that the same key with another body is found out. A principal with a
 * `rank_ceiling` moves nothing whose rank is higher.
 */
export const asked = z.strictObject({
  actor: z.string(),
  command_id: z.string(),
  request_digest: z.string().optional(),
  rank_ceiling: rank.optional(),
});
export type Asked = z.infer<typeof asked>;

export const pageQuery = { limit: z.int().min(1).max(200).default(50), cursor: z.string().max(512).optional() };
export type Page<Item> = Readonly<{ data: readonly Item[]; next_cursor: string | null }>;
