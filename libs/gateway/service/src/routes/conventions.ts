// What many routes share.

import { z } from 'zod';
import type { Answer } from '../http/services.js';
import type { Answered } from '../http/route.js';

/** Reads wait until the view has this position, so that everybody reads their own writes. */
export const minPosition = {
  min_position: z
    .string()
    .min(1)
    .max(2_048)
    .optional()
    .describe('Wait until the view has this position (5 s, then 504). Left out: that of your own last write.'),
};

export const READ_PROBLEMS = ['malformed-position', 'position-not-reached'] as const;
export const LIST_PROBLEMS = ['malformed-cursor', ...READ_PROBLEMS] as const;

/** Longer text cannot be the operator key, and is not looked at. */
export const OPERATOR_KEY_LENGTH_MAX = 1_024;

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ data: z.array(item), next_cursor: z.string().nullable() });

export const found = <Body>({ body, position }: Answer<Body>): Answered => ({ status: 200, body, position });

/** A list that is one page, however long it is. */
export const whole = ({ position }: Answer<unknown>, data: readonly unknown[]): Answered => ({
  ...{ status: 200, body: { data, next_cursor: null }, position },
});

/** One document, which a caller may have already. */
export const document = <Body>(answer: Answer<Body>): Answered => ({ ...found(answer), tagged: true });
export const UNCHANGED = { description: 'The caller has this document already.' } as const;
