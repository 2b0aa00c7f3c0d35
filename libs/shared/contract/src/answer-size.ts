// How much of a list one answer holds
//
//   A1. A page ends before it would be larger than an answer, and never before its first item.

import { ANSWER_BYTES_MAX } from './words.js';

export const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** How many of the items, from the first on, one page holds. */
export const fittingCount = (items: readonly unknown[], bytes_max = ANSWER_BYTES_MAX): number => {
  let left = bytes_max;
  const first_too_many = items.findIndex((item) => {
    left -= bytesOf(item) + ','.length;
    return left < 0;
  });
  return first_too_many === -1 ? items.length : Math.max(first_too_many, 1);
};
