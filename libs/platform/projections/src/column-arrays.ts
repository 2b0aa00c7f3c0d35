// Rows as arrays of their columns, in PostgreSQL's binary form: `unnest` makes rows of them again, and neither side
// writes or reads a text in between. A value of a type that is not named here travels as text and is cast.

import type { Row } from './database.js';

export type Column = Readonly<{ name: string; type: string }>;

/** `cast`: what the value still has to become. */
export type ColumnArray = Readonly<{ bytes: Buffer; type: string; cast: string }>;

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;
const TEXT_OID = 25;

type Fixed = Readonly<{ oid: number; size: number; write: (bytes: Buffer, value: unknown, at: number) => void }>;

const FIXED: Readonly<Record<string, Fixed>> = {
  bigint: {
    oid: 20,
    size: 8,
    write: (bytes, value, at) => bytes.writeBigInt64BE(BigInt(value as number | string), at),
  },
  integer: { oid: 23, size: 4, write: (bytes, value, at) => bytes.writeInt32BE(Number(value), at) },
  boolean: { oid: 16, size: 1, write: (bytes, value, at) => bytes.writeUInt8(flagOf(value), at) },
  'double precision': { oid: 701, size: 8, write: (bytes, value, at) => bytes.writeDoubleBE(Number(value), at) },
};

const flagOf = (value: unknown): 0 | 1 => {
  if (typeof value !== 'boolean') throw new TypeError(`${String(value)} is neither true nor false`);
  return value ? 1 : 0;
};

const isNone = (value: unknown): value is null | undefined => value === null || value === undefined;

const quoted = (item: unknown): string => `"${String(item).replaceAll(/["\\]/g, String.raw`\$&`)}"`;

const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return `{${value.map((item) => (isNone(item) ? 'null' : quoted(item))).join(',')}}`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return JSON.stringify(value);
};

const writeHeader = (bytes: Buffer, oid: number, count: number): void => {
  const [dimensions, may_hold_nulls, first_index] = [1, 1, 1];
  for (const [place, field] of [dimensions, may_hold_nulls, oid, count, first_index].entries())
    bytes.writeInt32BE(field, place * LENGTH_BYTES);
};

const fixedArray = ({ oid, size, write }: Fixed, values: readonly unknown[]): Buffer => {
  const present = values.reduce<number>((sum, value) => (isNone(value) ? sum : sum + 1), 0);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + values.length * LENGTH_BYTES + present * size);
  writeHeader(bytes, oid, values.length);
  let at = HEADER_BYTES;
  for (const value of values) {
    bytes.writeInt32BE(isNone(value) ? NULL_LENGTH : size, at);
    at += LENGTH_BYTES;
    if (isNone(value)) continue;
    write(bytes, value, at);
    at += size;
  }
  return bytes;
};

const textArray = (oid: number, texts: readonly (string | undefined)[]): Buffer => {
  const sizes = texts.map((text) => (text === undefined ? NULL_LENGTH : Buffer.byteLength(text)));
  const total = sizes.reduce((sum, size) => sum + LENGTH_BYTES + Math.max(0, size), HEADER_BYTES);
  const bytes = Buffer.allocUnsafe(total);
  writeHeader(bytes, oid, texts.length);
  let at = HEADER_BYTES;
  for (const [place, text] of texts.entries()) {
    at = bytes.writeInt32BE(sizes[place] ?? NULL_LENGTH, at);
    if (text !== undefined) at += bytes.write(text, at);
  }
  return bytes;
};

/** Text that is JSON: written once, as it will lie there. */
const JSON_OID = 114;

export const columnArray = ({ name, type }: Column, rows: readonly Row[]): ColumnArray => {
  const values = rows.map((row) => row[name]);
  const fixed = FIXED[type];
  if (fixed) return { bytes: fixedArray(fixed, values), type, cast: '' };
  if (type === 'json' || type === 'jsonb') {
    const texts = values.map((value) => (isNone(value) ? undefined : JSON.stringify(value)));
    return { bytes: textArray(JSON_OID, texts), type: 'json', cast: type === 'json' ? '' : `::${type}` };
  }
  const texts = values.map((value) => (isNone(value) ? undefined : textOf(value)));
  return { bytes: textArray(TEXT_OID, texts), type: 'text', cast: type === 'text' ? '' : `::${type}` };
};
