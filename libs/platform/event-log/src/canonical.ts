import { hash } from 'node:crypto';
import { DEPTH_MAX, findUnkeepable, isKeepable } from '@nexusmon/shared-contract';

/** A value that the log cannot keep: not JSON, too deep, or with text that some store of ours refuses. */
export class Unkeepable extends Error {
  override readonly name = 'Unkeepable';
  readonly path: readonly (string | number)[];

  constructor(value: unknown) {
    const { path, message } = findUnkeepable(value) ?? { path: [], message: 'not JSON' };
    super(`${path.length > 0 ? path.join('.') : 'the value'} cannot be kept: ${message}`);
    this.path = path;
  }
}

/** Up to this many names are sorted by insertion. */
const FEW = 24;

// Where in the value it was is looked up only when somebody has to be told.
const REFUSED = new Error('refused');

const write = (value: unknown, depth: number): string => {
  switch (typeof value) {
    case 'string':
      if (!isKeepable(value)) throw REFUSED;
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw REFUSED;
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= DEPTH_MAX) throw REFUSED;
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth);
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      throw REFUSED;
  }
};

const writeArray = (items: readonly unknown[], depth: number): string => {
  let text = '[';
  for (let index = 0; index < items.length; index += 1) {
    if (index > 0) text += ',';
    text += write(items[index], depth + 1);
  }
  return `${text}]`;
};

const writeObject = (value: object, depth: number): string => {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A Date, a Map or a Buffer would be written as something else than it is.
  if (prototype !== null && prototype !== Object.prototype && !isPlainElsewhere(prototype)) throw REFUSED;
  const fields = value as Record<string, unknown>;
  let text = '{';
  for (const name of inOrder(Object.keys(fields))) {
    const field = fields[name];
    if (field === undefined) continue;
    if (name === '__proto__' || !isKeepable(name)) throw REFUSED;
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(name)}:${write(field, depth + 1)}`;
  }
  return `${text}}`;
};

/**
 * By UTF-16 code unit, which is the order that RFC 8785 asks for. Objects have few fields, and those that were parsed
 * from canonical text are in order already: sorting in place leaves nothing behind, where `sort` copies.
 */
const inOrder = (names: string[]): readonly string[] => {
  if (names.length > FEW) return names.sort();
  for (let end = 1; end < names.length; end += 1) {
    const name = names[end] ?? '';
    let at = end;
    for (; at > 0 && (names[at - 1] ?? '') > name; at -= 1) names[at] = names[at - 1] ?? '';
    names[at] = name;
  }
  return names;
};

/** What only the careful way can tell of, or write. */
const IRREGULAR = Symbol('irregular');
const [ZERO, NINE] = [0x30, 0x39];

/**
 * The value with its fields in order, so that the engine's own writer, which is several times faster, gives the
 * canonical text: it writes in the order in which fields were added. The same value where it is in order already.
 */
const ordered = (value: unknown, depth: number): unknown => {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : IRREGULAR;
  if (typeof value !== 'object' || depth >= DEPTH_MAX) return IRREGULAR;
  if (Array.isArray(value)) return orderedItems(value, depth + 1);
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype
    ? orderedFields(value as Record<string, unknown>, depth + 1)
    : IRREGULAR;
};

const orderedItems = (items: readonly unknown[], depth: number): unknown => {
  let copy: unknown[] | undefined;
  for (let index = 0; index < items.length; index += 1) {
    const item = ordered(items[index], depth);
    if (item === IRREGULAR) return IRREGULAR;
    if (item !== items[index]) copy ??= items.slice(0, index);
    copy?.push(item);
  }
  return copy ?? items;
};

const orderedFields = (fields: Readonly<Record<string, unknown>>, depth: number): unknown => {
  const names = Object.keys(fields);
  let in_order = true;
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] ?? '';
    const first = name.charCodeAt(0);
    // Names that look like an index are kept in an order of their own by every object.
    if ((first >= ZERO && first <= NINE) || name === '__proto__') return IRREGULAR;
    in_order &&= index === 0 || (names[index - 1] ?? '') < name;
  }
  if (!in_order) inOrder(names);
  let copy: Record<string, unknown> | undefined = in_order ? undefined : {};
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] ?? '';
    const given = fields[name];
    if (given === undefined) continue;
    const field = ordered(given, depth);
    if (field === IRREGULAR) return IRREGULAR;
    if (field !== given && copy === undefined) {
      copy = {};
      for (const before of names.slice(0, index)) copy[before] = fields[before];
    }
    if (copy) copy[name] = field;
  }
  return copy ?? fields;
};

/** The Object.prototype of another realm (a worker's vm context, a test runner's sandbox). */
const isPlainElsewhere = (prototype: unknown): boolean =>
  typeof prototype === 'object' &&
  prototype !== null &&
  Object.getPrototypeOf(prototype) === null &&
  Object.hasOwn(prototype, 'isPrototypeOf');

/**
 * The one text of a JSON value (RFC 8785). Fields that are undefined do not exist; anything else that is not JSON, or
 * that some store of ours cannot keep, throws `Unkeepable` with its path.
 */
export const canonical = (value: unknown): string => {
  const regular = ordered(value, 0);
  if (regular !== IRREGULAR) {
    const text = JSON.stringify(regular);
    // What cannot be kept is written with an escape, and little else is.
    if (!text.includes('\\u')) return text;
  }
  try {
    return write(value, 0);
  } catch (error) {
    if (error === REFUSED) throw new Unkeepable(value);
    throw error;
  }
};

export const sha256Hex = (content: string | Uint8Array): string => hash('sha256', content, 'hex');
