// Counts lines and markers of one file while it streams past.
//
//   S1. A text file has no NUL byte in its first 8 KiB, and these are valid UTF-8 or at least free of control
//       characters other than white space (Latin-1 is text, compressed bytes are not). A binary file has 0 lines and
//       no markers.
//   S2. Lines: the number of newline bytes, and one more when the last line is not terminated.
//   S3. A marker is TODO or FIXME, in capitals, with no letter, digit or underscore of any script on either side: the
//       Spanish word for method, in capitals with its accent, holds none. Bytes that are not UTF-8 are no letters.
//   S4. Memory is one chunk, whatever the size of the file or of its lines.

import { isUtf8 } from 'node:buffer';
import { HEAD_BYTES, isTextHead } from './text-head.js';

const MARKERS = [Buffer.from('TODO'), Buffer.from('FIXME')] as const;
const CHARACTER_BYTES_MAX = 4;
/** A marker of five bytes with the characters on either side of it, not all of which need have come yet. */
const CARRIED_BYTES = 16;
const NEWLINE = 0x0a;

export type MarkerPlace = Readonly<{ marker: 'TODO' | 'FIXME'; line: number; offset: number }>;
export type TextFigures = { is_text: boolean; lines: number; todos: number; places: MarkerPlace[] };

export class TextScanner {
  private head: Buffer = Buffer.alloc(0);
  private carried: Buffer = Buffer.alloc(0);
  private is_text: boolean | undefined;
  private newlines = 0;
  private consumed_bytes = 0;
  private last_byte = NEWLINE;
  private todos = 0;
  private readonly places: MarkerPlace[] = [];

  constructor(private readonly places_max: number) {}

  push(chunk: Buffer): void {
    if (this.is_text === false) return;
    if (this.is_text === undefined) {
      this.head = Buffer.concat([this.head, chunk]);
      // Only a byte more tells whether the head ends where the file does.
      if (this.head.length <= HEAD_BYTES) return;
      this.decide();
    } else this.scan(chunk, false);
  }

  end(): TextFigures {
    if (this.is_text === undefined) this.decide();
    if (this.is_text === true) this.scan(Buffer.alloc(0), true);
    const unterminated = this.last_byte === NEWLINE ? 0 : 1;
    const lines = this.is_text === true ? this.newlines + unterminated : 0;
    return { is_text: this.is_text === true, lines, todos: this.todos, places: this.places };
  }

  /** The first bytes of the file, as far as they have come. */
  get beginning(): Buffer {
    return this.head.subarray(0, HEAD_BYTES);
  }

  private decide(): void {
    this.is_text = isTextHead(this.head.subarray(0, HEAD_BYTES), this.head.length > HEAD_BYTES);
    const held = this.head;
    this.head = Buffer.from(held.subarray(0, HEAD_BYTES));
    if (this.is_text) this.scan(held, false);
  }

  /**
   * Looks for markers in what was carried and what is new. A marker is settled once the character after it is known;
   * one that was settled before ends well inside the carried bytes and is passed over.
   */
  private scan(chunk: Buffer, last: boolean): void {
    const held = this.carried.length;
    const window = held === 0 ? chunk : Buffer.concat([this.carried, chunk]);
    const found = MARKERS.flatMap((marker) => markersIn(window, marker, held, last)).sort((a, b) => a.start - b.start);
    const base = this.consumed_bytes - held;
    let counted_to = held;
    for (const { start, word } of found) {
      const behind = start < counted_to ? newlinesIn(window, start, counted_to) : 0;
      this.newlines += newlinesIn(window, counted_to, start);
      counted_to = Math.max(counted_to, start);
      this.todos += 1;
      if (this.places.length < this.places_max)
        this.places.push({ marker: word, line: this.newlines - behind + 1, offset: base + start });
    }
    this.newlines += newlinesIn(window, counted_to, window.length);
    this.consumed_bytes += chunk.length;
    this.last_byte = window.at(-1) ?? NEWLINE;
    this.carried = Buffer.from(window.subarray(Math.max(0, window.length - CARRIED_BYTES)));
  }
}

const markersIn = (window: Buffer, marker: Buffer, held: number, last: boolean) => {
  const found: { start: number; word: 'TODO' | 'FIXME' }[] = [];
  const word = marker.length === 4 ? 'TODO' : 'FIXME';
  for (let start = window.indexOf(marker); start !== -1; start = window.indexOf(marker, start + 1)) {
    const end = start + marker.length;
    const settled_before = end + CHARACTER_BYTES_MAX <= held;
    const settled_now = end + CHARACTER_BYTES_MAX <= window.length || last;
    if (settled_before || !settled_now) continue;
    if (!isWord(characterBefore(window, start)) && !isWord(characterAt(window, end))) found.push({ start, word });
  }
  return found;
};

const WORD = /^[\p{L}\p{M}\p{N}_]$/u;
const isWord = (character: string) => WORD.test(character);

/** The character that begins at `at`; empty where there is none or the bytes are not UTF-8. */
const characterAt = (window: Buffer, at: number): string => {
  for (let length = 1; length <= CHARACTER_BYTES_MAX && at + length <= window.length; length += 1)
    if (isUtf8(window.subarray(at, at + length))) return window.toString('utf8', at, at + length);
  return '';
};

const characterBefore = (window: Buffer, at: number): string => {
  for (let length = 1; length <= CHARACTER_BYTES_MAX && length <= at; length += 1)
    if (isUtf8(window.subarray(at - length, at))) return window.toString('utf8', at - length, at);
  return '';
};

/** By the byte: a search for the next newline would run past `to` again and again in a file of one long line. */
const newlinesIn = (window: Buffer, from: number, to: number) => {
  let count = 0;
  for (let at = from; at < to; at += 1) if (window[at] === NEWLINE) count += 1;
  return count;
};
