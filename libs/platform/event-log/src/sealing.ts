// Sealed fields
//
// Text that may be personal or secret lies in the log as `{"$sealed": "<key_id>.<base64url(nonce|ciphertext|tag)>"}`.
//
//   S1. What the contract marks as sealed is never written open: a mark that cannot be reached, or a missing key, is a
//       fault, not a reason to write plain text.
//   S2. A sealed value opens only on the aggregate it was sealed for: key id and subject are authenticated with it.
//   S3. Values are opened only where the contract has a mark: text from outside that looks sealed stays text.
//   S4. Under a destroyed key text reads as '[erased]' and anything else as null; nobody crashes on it.

import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto';
import { sealTree, type SealTree } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { canonical } from './canonical.js';

export const ERASED = '[erased]';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NONCES = 512;

const nonces = Buffer.alloc(NONCE_BYTES * NONCES);
let nonces_left = 0;
/** Random bytes are fetched for many nonces at once: a system call for each would cost more than the encryption. */
const freshNonce = (): Buffer => {
  if (nonces_left === 0) {
    randomFillSync(nonces);
    nonces_left = NONCES;
  }
  nonces_left -= 1;
  return Buffer.from(nonces.subarray(nonces_left * NONCE_BYTES, (nonces_left + 1) * NONCE_BYTES));
};

/** `<key_id>.<base64url(nonce|ciphertext|tag)>` of a text, bound to `context` (S2). */
export const sealText = (text: string, key_id: string, key: KeyObject, context: string): string => {
  const nonce = freshNonce();
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(`${key_id}\n${context}`));
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${key_id}.${sealed.toString('base64url')}`;
};

/** A sealed text that its key does not open: moved from elsewhere, or damaged. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

export const keyIdOf = (sealed: string): string => sealed.slice(0, sealed.indexOf('.'));

export const openText = (sealed: string, key: KeyObject, context: string): string => {
  const key_id = keyIdOf(sealed);
  const bytes = Buffer.from(sealed.slice(key_id.length + 1), 'base64url');
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(Buffer.from(`${key_id}\n${context}`)).setAuthTag(bytes.subarray(-TAG_BYTES));
    // As bytes: text would be put together by a decoder of its own for each value, which costs half as much again.
    const opened = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    decipher.final();
    return opened.toString('utf8');
  } catch (cause) {
    throw new SealBroken(`a value sealed under ${key_id} does not open for ${JSON.stringify(context)}`, { cause });
  }
};

type Leaf = Readonly<{ kind: 'leaf'; erased: string | null }>;
/** Where the sealed fields of a schema are, and what stands there once they are erased. */
export type SealPlan =
  | Leaf
  | Readonly<{ kind: 'fields'; fields: readonly (readonly [string, SealPlan])[] }>
  | Readonly<{ kind: 'items'; each: SealPlan }>
  | Readonly<{ kind: 'values'; each: SealPlan }>;

const wraps = [z.ZodOptional, z.ZodNullable, z.ZodDefault, z.ZodReadonly, z.ZodPrefault, z.ZodNonOptional, z.ZodCatch];

const unwrapped = (schema: z.ZodType): z.ZodType => {
  let inner = schema;
  while (wraps.some((wrap) => inner instanceof wrap)) inner = (inner as z.ZodOptional<z.ZodType>).unwrap();
  return inner;
};

const isText = (schema: z.ZodType): boolean => {
  const inner = unwrapped(schema);
  return inner instanceof z.ZodString || inner instanceof z.ZodStringFormat || inner instanceof z.ZodEnum;
};

const planOf = (schema: z.ZodType, tree: SealTree): SealPlan => {
  if (tree === 'sealed') return { kind: 'leaf', erased: isText(schema) ? ERASED : null };
  const inner = unwrapped(schema);
  if ('fields' in tree && inner instanceof z.ZodObject) {
    const shape = inner.shape as Record<string, z.ZodType>;
    const fields = Object.entries(tree.fields).map(
      ([name, field]) => [name, planOf(shape[name] ?? z.never(), field)] as const,
    );
    return { kind: 'fields', fields };
  }
  if ('items' in tree && inner instanceof z.ZodArray)
    return { kind: 'items', each: planOf(inner.element as z.ZodType, tree.items) };
  if ('values' in tree && inner instanceof z.ZodRecord)
    return { kind: 'values', each: planOf(inner.valueType as z.ZodType, tree.values) };
  throw new TypeError('a seal tree does not have the shape of its schema');
};

/** How many marks a plan reaches, and how many a schema has anywhere inside it, unions and the like included. */
const marksIn = (schema: z.ZodType, seen = new Set<z.ZodType>()): Set<z.ZodType> => {
  const marks = new Set<z.ZodType>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value !== 'object' || value === null) return;
    if (!(value instanceof z.ZodType)) {
      if (Object.getPrototypeOf(value) === Object.prototype) Object.values(value).forEach(visit);
      return;
    }
    if (seen.has(value)) return;
    seen.add(value);
    if (value.meta()?.['sealed'] === true) marks.add(value);
    else if (value instanceof z.ZodLazy) visit(value.unwrap());
    else if (value instanceof z.ZodObject) visit({ ...value.shape });
    else visit({ ...value.def });
  };
  visit(schema);
  return marks;
};

const marksReached = (
  schema: z.ZodType,
  tree: SealTree | undefined,
  reached = new Set<z.ZodType>(),
): Set<z.ZodType> => {
  if (tree === undefined) return reached;
  if (tree === 'sealed') {
    let inner = schema;
    while (inner.meta()?.['sealed'] !== true && wraps.some((wrap) => inner instanceof wrap))
      inner = (inner as z.ZodOptional<z.ZodType>).unwrap();
    return reached.add(inner);
  }
  const inner = unwrapped(schema);
  if ('fields' in tree && inner instanceof z.ZodObject) {
    const shape = inner.shape as Record<string, z.ZodType>;
    for (const [name, field] of Object.entries(tree.fields)) marksReached(shape[name] ?? z.never(), field, reached);
  }
  if ('items' in tree && inner instanceof z.ZodArray) marksReached(inner.element as z.ZodType, tree.items, reached);
  if ('values' in tree && inner instanceof z.ZodRecord)
    marksReached(inner.valueType as z.ZodType, tree.values, reached);
  return reached;
};

/** Undefined for a schema without sealed fields. Throws when a mark is where no plan can reach it (S1). */
export const sealPlan = (name: string, schema: z.ZodType): SealPlan | undefined => {
  const tree = sealTree(schema);
  const reached = marksReached(schema, tree);
  for (const mark of marksIn(schema))
    if (!reached.has(mark))
      throw new TypeError(`${name} has a sealed field inside a ${mark.type} or a union, where it cannot be sealed`);
  return tree && planOf(schema, tree);
};

const transform = (plan: SealPlan, value: unknown, leaf: (value: unknown, plan: Leaf) => unknown): unknown => {
  if (value === undefined) return undefined;
  if (plan.kind === 'leaf') return leaf(value, plan);
  if (value === null || typeof value !== 'object') return value;
  if (plan.kind === 'items')
    return Array.isArray(value) ? value.map((item) => transform(plan.each, item, leaf)) : value;
  const copy: Record<string, unknown> = { ...value };
  const fields = 'fields' in plan ? plan.fields : Object.keys(copy).map((name) => [name, plan.each] as const);
  for (const [name, field] of fields) if (name in copy) copy[name] = transform(field, copy[name], leaf);
  return copy;
};

export const sealData = (plan: SealPlan, data: unknown, seal: (text: string) => string): unknown =>
  transform(plan, data, (value) => ({ $sealed: seal(canonical(value)) }));

const sealedText = (value: unknown): string | undefined => {
  if (typeof value !== 'object' || value === null || !('$sealed' in value)) return undefined;
  return typeof value.$sealed === 'string' ? value.$sealed : undefined;
};

/** `open` answers with the text, or undefined when the key has been destroyed (S4). */
export const openData = (plan: SealPlan, data: unknown, open: (sealed: string) => string | undefined): unknown =>
  transform(plan, data, (value, { erased }) => {
    const sealed = sealedText(value);
    // What a plan reaches was sealed when it was written; anything else means that the bytes are not ours.
    if (sealed === undefined) throw new SealBroken('a sealed field holds open text');
    const text = open(sealed);
    return text === undefined ? erased : (JSON.parse(text) as unknown);
  });

/** The keys that `openData` will ask for. */
export const sealedKeyIds = (plan: SealPlan, data: unknown, key_ids = new Set<string>()): Set<string> => {
  transform(plan, data, (value) => {
    const sealed = sealedText(value);
    if (sealed !== undefined) key_ids.add(keyIdOf(sealed));
    return value;
  });
  return key_ids;
};
