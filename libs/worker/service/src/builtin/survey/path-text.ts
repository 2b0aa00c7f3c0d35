// Paths are bytes; reports are text.
//
//   P1. The text of a path says exactly which bytes it has: what is not UTF-8 is written as \xHH and a backslash as
//       two, so that no two paths read the same.
//   P2. What is shown of contents and messages is one line, without control or direction-changing characters.

import { isUtf8 } from 'node:buffer';

export const pathText = (path: Buffer): string => {
  if (isUtf8(path)) return path.toString('utf8').replaceAll('\\', '\\\\');
  let shown = '';
  for (let at = 0; at < path.length;) {
    const length = characterLength(path, at);
    if (length === 0) shown += `\\x${path.toString('hex', at, at + 1).toUpperCase()}`;
    else shown += path.toString('utf8', at, at + length).replaceAll('\\', '\\\\');
    at += Math.max(length, 1);
  }
  return shown;
};

/** The bytes that `pathText` was made of. */
export const pathBytes = (shown: string): Buffer => {
  const parts = shown.split(/(\\\\|\\x[0-9A-F]{2})/);
  return Buffer.concat(
    parts.map((part) => {
      if (part === '\\\\') return Buffer.from('\\');
      return part.startsWith('\\x') ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
    }),
  );
};

/** How many bytes the UTF-8 character at `at` takes; 0 when there is none. */
const characterLength = (path: Buffer, at: number) =>
  [1, 2, 3, 4].find((length) => at + length <= path.length && isUtf8(path.subarray(at, at + length))) ?? 0;

/** One line of at most `characters_max` characters, cut with an ellipsis. */
export const oneLine = (value: string, characters_max: number): string => {
  const line = value
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  const characters = Array.from(line.slice(0, 2 * characters_max + 2));
  return characters.length <= characters_max
    ? characters.join('')
    : `${characters.slice(0, characters_max - 1).join('')}…`;
};
