import { hash } from 'node:crypto';
import { v7 } from 'uuid';

/** Sorts by the time it was made. */
export const newId = (prefix: string): string => `${prefix}_${v7()}`;

/** The same parts give the same id for good: what makes a repeat recognisable. Not sortable. */
export const keyedId = (prefix: string, ...parts: readonly string[]): string => {
  // As a JSON array, so that ('a', 'bc') and ('ab', 'c') differ.
  const hex = hash('sha256', JSON.stringify(parts), 'hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ];
  return `${prefix}_${groups.join('-')}`;
};

/** The id of the `index`-th event of a command: a re-decided command writes events of the same ids. */
export const eventId = (command_id: string, index: number): string => keyedId('evt', command_id, String(index));

const UUID_VERSION_AT = 14;
/** Made by `keyedId`: its repeat may come at any time, not only soon. */
export const isKeyed = (id: string): boolean => id.charAt(id.indexOf('_') + 1 + UUID_VERSION_AT) === '8';
