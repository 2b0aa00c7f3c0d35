// The words that every contract shares: ids, instants, text that every store can keep.

import type { Json } from '@nexusmon/kernel';
import { z } from 'zod';

export const DEPTH_MAX = 64;
/** Larger values travel through the vault by digest. */
export const INLINE_BYTES_MAX = 64 * 1024;
export const OUTPUT_BYTES_MAX = 1024 * 1024;
/** What one answer holds at most. It leaves a service in one message, of 8 MiB with all that stands around it. */
export const ANSWER_BYTES_MAX = 6 * 1024 * 1024;

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';

/** `<prefix>_<UUID version 7 or 8>` (RFC 9562). */
export const idOf = <Prefix extends string>(prefix: Prefix) =>
  z.string().regex(new RegExp(`^${prefix}_${UUID}$`), `expected ${prefix}_ and a UUID`);

export const mission_id = idOf('msn');
export const approval_id = idOf('apr');
export const review_id = idOf('rev');
export const artifact_id = idOf('art');
export const series_id = idOf('srs');
export const session_id = idOf('ses');
export const command_id = idOf('cmd');
export const event_id = idOf('evt');

/** RFC 3339, UTC, milliseconds: sortable as text. */
export const instant = z.iso.datetime({ precision: 3 });
export const digest = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 digest in lower-case hex');
/** `<kind>:<id>`; kinds are operator, token, service, plugin and channel. */
export const actor = z.string().regex(/^(operator|token|service|plugin|channel):[A-Za-z0-9_.-]{1,128}$/);

export const UNKEEPABLE_TEXT = 'U+0000 and lone surrogates cannot be kept';
/** PostgreSQL cannot keep U+0000, and RFC 8785 has no form for lone surrogates. */
export const isKeepable = (value: string) => !value.includes('\u0000') && value.isWellFormed();

/** Text that every store of ours can keep. */
export const text = (min: number, max: number) => z.string().min(min).max(max).refine(isKeepable, UNKEEPABLE_TEXT);

type Unkeepable = { path: (string | number)[]; message: string };

/** Name of the first thing in `value` that the log cannot keep, with its path; undefined when all is well. */
export const findUnkeepable = (value: unknown, depth = 0): Unkeepable | undefined => {
  if (typeof value === 'string') return isKeepable(value) ? undefined : { path: [], message: UNKEEPABLE_TEXT };
  if (value === null || typeof value === 'boolean') return undefined;
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : { path: [], message: 'not a finite number' };
  if (typeof value !== 'object') return { path: [], message: `not JSON: ${typeof value}` };
  if (depth >= DEPTH_MAX) return { path: [], message: `deeper than ${DEPTH_MAX}` };
  return Array.isArray(value) ? unkeepableItem(value, depth + 1) : unkeepableField(value, depth + 1);
};

// Every value of every request passes here: the path is put together on the way back from what was found, so that a
// value without fault leaves nothing behind.

const unkeepableItem = (items: readonly unknown[], depth: number): Unkeepable | undefined => {
  for (let index = 0; index < items.length; index += 1) {
    const found = findUnkeepable(items[index], depth);
    if (found) return { ...found, path: [index, ...found.path] };
  }
  return undefined;
};

const unkeepableField = (fields: object, depth: number): Unkeepable | undefined => {
  for (const key of Object.keys(fields)) {
    if (!isKeepable(key) || key === '__proto__') return { path: [key], message: 'not a keepable field name' };
    const found = findUnkeepable((fields as Record<string, unknown>)[key], depth);
    if (found) return { ...found, path: [key, ...found.path] };
  }
  return undefined;
};

const isJson = (value: unknown, context: z.RefinementCtx<unknown>) => {
  const found = findUnkeepable(value);
  if (found) context.addIssue({ code: 'custom', path: found.path, message: found.message });
};

/** Any JSON that the log can keep: depth up to 64, text without U+0000 or lone surrogates. */
export const json = z
  .custom<Json>((value) => value !== undefined)
  .superRefine(isJson)
  .meta({ id: 'Json', description: 'Any JSON value, at most 64 deep.' });
export const json_object = z.record(z.string(), z.unknown()).superRefine(isJson) as unknown as z.ZodType<{
  [key: string]: Json;
}>;

/** Risk, lowest first: E trivial, D low, C medium, B elevated, A high, S critical. */
export const rank = z
  .enum(['E', 'D', 'C', 'B', 'A', 'S'])
  .meta({ id: 'Rank', description: 'Risk: E trivial, D low, C medium, B elevated, A high, S critical.' });
export type Rank = z.infer<typeof rank>;
/** Lowest risk first. */
export const RANKS: readonly Rank[] = rank.options;
export const category = z.enum(['coin', 'forge', 'library', 'sanctuary']).meta({ id: 'Category' });
export type Category = z.infer<typeof category>;
