// Text for a terminal. Goals, reasons and names are written by anybody: none of it reaches a terminal as a command.

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu;
/** They would reorder what stands beside them. */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const escaped = (character: string): string => `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`;

/** With its line breaks and tabs, and everything else that is no text made visible. */
export const plainText = (text: string): string => text.replace(CONTROL, escaped).replace(DIRECTION, escaped);

/** The same on one line. */
export const plainLine = (text: string): string => plainText(text).replace(/\s+/g, ' ').trim();

/** JSON, which stays the same value whether or not a terminal reads it. */
export const jsonText = (value: unknown, indent = 2): string =>
  JSON.stringify(value, undefined, indent)
    .replaceAll(/[\u007f-\u009f]/gu, escaped)
    .replace(DIRECTION, escaped);

const ELLIPSIS = '…';

export const shortened = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - ELLIPSIS.length))}${ELLIPSIS}`;

/** Columns as wide as their content, two spaces apart; the last one gets what is left of `width`. */
export const tableText = (rows: readonly (readonly string[])[], width = Number.POSITIVE_INFINITY): string => {
  const plain = rows.map((row) => row.map(plainLine));
  const widths = (plain[0] ?? []).map((_, column) => Math.max(...plain.map((row) => row[column]?.length ?? 0)));
  return plain
    .map((row) => {
      const line = row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)));
      return `${shortened(line.join('  ').trimEnd(), width)}\n`;
    })
    .join('');
};
