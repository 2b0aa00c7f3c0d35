import { hash, randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const UUID_BYTES = 16;
const randoms = new Uint8Array(UUID_BYTES * 512);
let randoms_left = 0;
/** Fetched for many ids at once: a call to the system for each would cost more than the id. */
const freshRandoms = (): Uint8Array => {
  if (randoms_left === 0) {
    randomFillSync(randoms);
    randoms_left = randoms.length;
  }
  randoms_left -= UUID_BYTES;
  return randoms.subarray(randoms_left, randoms_left + UUID_BYTES);
};

let last_ms = 0;
let sequence = 0;
/** Sorts by the time it was made, also within a millisecond of this process. */
export const newId = (prefix: string): string => {
  const random = freshRandoms();
  const now_ms = Date.now();
  if (now_ms > last_ms) {
    last_ms = now_ms;
    sequence = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1;
  } else {
    sequence = (sequence + 1) | 0;
    if (sequence === 0) last_ms += 1;
  }
  return `${prefix}_${v7({ random, msecs: last_ms, seq: sequence })}`;
};

/** The same parts give the same id for good: what makes a repeat recognisable. Not sortable. */
export const keyedId = (prefix: string, ...parts: readonly string[]): string => {
  // As a JSON array, so that ('a', 'bc') and ('ab', 'c') differ.
  const hex = hash('sha256', JSON.stringify(parts), 'hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const [head, tail] = [`${hex.slice(0, 8)}-${hex.slice(8, 12)}`, `${hex.slice(17, 20)}-${hex.slice(20, 32)}`];
  return `${prefix}_${head}-8${hex.slice(13, 16)}-${variant}${tail}`;
};

/** The id of the `index`-th event of a command: a re-decided command writes events of the same ids. */
export const eventId = (command_id: string, index: number): string => keyedId('evt', command_id, String(index));

const UUID_VERSION_AT = 14;
/** Made by `keyedId`: its repeat may come at any time, not only soon. */
export const isKeyed = (id: string): boolean => id.charAt(id.indexOf('_') + 1 + UUID_VERSION_AT) === '8';
