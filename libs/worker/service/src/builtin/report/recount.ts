// The tree counted again, by another way than the survey's, so that a mistake in one is not repeated by the other:
// folders are visited depth first as they are listed, bytes pass one by one through an automaton that follows words
// instead of searching for markers, and nothing of the survey's walk, reading or counting is used. Shared are
// definitions only: which names are ignored, which name is which language, and what it is to lie under the root.

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { opendir } from 'node:fs/promises';
import { inRealFolder, openReal, realSize } from '../real-files.js';
import { faultCode, isGone, isUnreadable } from '../survey/file-faults.js';
import { ignoreRules, IGNORED_FILE } from '../survey/ignore-rules.js';
import { languageOf } from '../survey/languages.js';
import { pathText } from '../survey/path-text.js';

const HEAD_BYTES = 8192;
const READ_BYTES = 128 * 1024;
const UNREADABLE = 'Unreadable';

export type Recounted = Readonly<{
  path: string;
  size: number;
  /** Null when the file cannot be read. */
  sha256: string | null;
  lines: number;
  todos: number;
  language: string;
  /** The markers with their lines, in order; only as many as the report could name. */
  places: readonly string[];
}>;

/** A path is kept as Latin-1 text: one character a byte, whatever the bytes are. */
const bytesOf = (path: string) => Buffer.from(path, 'latin1');

export async function* recount(
  root: string,
  forbidden_roots: readonly string[],
  places_max: number,
  signal: AbortSignal,
): AsyncGenerator<Recounted> {
  const base = Buffer.from(root).toString('latin1');
  const forbidden = forbidden_roots.map((path) => Buffer.from(path).toString('latin1'));
  for await (const path of filesBelow(base, base, forbidden, signal)) {
    signal.throwIfAborted();
    const counted = await countedFile(path, places_max, signal);
    if (counted)
      yield { path: pathText(bytesOf(path.slice(base.endsWith('/') ? base.length : base.length + 1))), ...counted };
  }
}

async function* filesBelow(
  folder: string,
  base: string,
  forbidden: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  signal.throwIfAborted();
  const kinds = await listed(folder);
  if (folder !== base && ignoreRules.holding.some((name) => kinds.has(name))) return;
  for (const [name, kind] of kinds) {
    const path = `${folder.endsWith('/') ? folder : `${folder}/`}${name}`;
    if (forbidden.includes(path)) continue;
    if (kind === 'file' && name !== IGNORED_FILE) yield path;
    if (kind === 'folder' && !ignored(name, kinds)) yield* filesBelow(path, base, forbidden, signal);
  }
}

const listed = async (folder: string) => {
  const kinds = new Map<string, 'file' | 'folder' | 'other'>();
  try {
    await inRealFolder(bytesOf(folder), async (within) => {
      for await (const entry of await opendir(within, { encoding: 'latin1', bufferSize: 256 }))
        kinds.set(entry.name, entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other');
    });
  } catch (error) {
    const code = faultCode(error);
    if (!isGone(code) && !isUnreadable(code)) throw error;
    kinds.clear();
  }
  return kinds;
};

const ignored = (name: string, kinds: ReadonlyMap<string, unknown>) => {
  for (const always of ignoreRules.names) if (always === name) return true;
  for (const rule of ignoreRules.beside) {
    if (rule.name !== name) continue;
    for (const marker of rule.beside) {
      const ending = marker.startsWith('*') ? marker.slice(1) : undefined;
      for (const sibling of kinds.keys())
        if (ending === undefined ? sibling === marker : sibling.endsWith(ending)) return true;
    }
  }
  return false;
};

const countedFile = async (
  path: string,
  places_max: number,
  signal: AbortSignal,
): Promise<Omit<Recounted, 'path'> | undefined> => {
  const bytes = bytesOf(path);
  try {
    await using handle = await openReal(bytes);
    const stat = await handle.stat();
    if (!stat.isFile()) return undefined;
    const hash = createHash('sha256');
    const counter = new WordCounter(places_max);
    let size = 0;
    if (stat.size > 0) {
      const stream = handle.createReadStream({
        autoClose: false,
        end: stat.size - 1,
        highWaterMark: READ_BYTES,
        signal,
      });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        hash.update(chunk);
        counter.pass(chunk);
        size += chunk.length;
      }
    }
    const { is_text, lines, places, todos } = counter.result(size);
    return {
      size,
      sha256: hash.digest('hex'),
      lines,
      todos,
      places,
      language: languageOf(bytes, is_text, counter.head),
    };
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code)) return undefined;
    if (!isUnreadable(code)) throw error;
    return { size: await sizeOf(bytes), sha256: null, lines: 0, todos: 0, language: UNREADABLE, places: [] };
  }
};

const sizeOf = async (path: Buffer) => {
  try {
    return await realSize(path);
  } catch (error) {
    if (isGone(faultCode(error)) || isUnreadable(faultCode(error))) return 0;
    throw error;
  }
};

// The automaton: how much of a marker the word so far is. 0 is between words, OTHER a word that is no marker.
const OTHER = 1;
const BEGINNINGS = ['', '\0', 'T', 'TO', 'TOD', 'TODO', 'F', 'FI', 'FIX', 'FIXM', 'FIXME'];
const TODO = BEGINNINGS.indexOf('TODO');
const FIXME = BEGINNINGS.indexOf('FIXME');
const IN_WORD = Buffer.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
const ENDS = 255;

/** The next state for each state and ASCII byte; `ENDS` for a byte that no word has. */
const NEXT = new Uint8Array(BEGINNINGS.length * 128).fill(ENDS);
for (const [state, beginning] of BEGINNINGS.entries())
  for (const byte of IN_WORD) {
    const next = BEGINNINGS.indexOf(beginning + String.fromCharCode(byte));
    NEXT[state * 128 + byte] = next === -1 ? OTHER : next;
  }

const LETTER = /^[\p{L}\p{M}\p{N}]$/u;

/** Passes bytes one by one through the automaton and counts the words that end as markers. */
class WordCounter {
  head = Buffer.alloc(0);
  private newlines = 0;
  private todos = 0;
  private readonly places: string[] = [];
  private state = 0;
  private last = 0x0a;
  /** The character of several bytes that has begun: its value so far, and how many bytes it still needs. */
  private value = 0;
  private needed = 0;
  private smallest = 0;

  constructor(private readonly places_max: number) {}

  pass(chunk: Buffer): void {
    if (this.head.length < HEAD_BYTES)
      this.head = Buffer.concat([this.head, chunk.subarray(0, HEAD_BYTES - this.head.length)]);
    // By index: an iterator over the bytes takes twice as long.
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte >= 0x80) this.passOther(byte);
      else {
        if (this.needed > 0) this.endWord();
        const next = NEXT[this.state * 128 + byte] ?? ENDS;
        if (next !== ENDS) this.state = next;
        else if (this.state !== 0) this.endWord();
        if (byte === 0x0a) this.newlines += 1;
      }
    }
    this.last = chunk.at(-1) ?? this.last;
  }

  result(size: number) {
    this.endWord();
    const is_text = isText(this.head, size > HEAD_BYTES);
    if (!is_text) return { is_text, lines: 0, todos: 0, places: [] };
    const lines = size > 0 && this.last !== 0x0a ? this.newlines + 1 : this.newlines;
    return { is_text, lines, todos: this.todos, places: this.places };
  }

  private passOther(byte: number): void {
    if (byte < 0xc0 && this.needed > 0) {
      this.value = this.value * 64 + (byte & 0x3f);
      this.needed -= 1;
      if (this.needed === 0) this.passCharacter();
      return;
    }
    // A beginning inside a character, or a continuation of none: what is no character parts words.
    if (this.needed > 0 || byte < 0xc0 || byte > 0xf7) this.endWord();
    if (byte >= 0xc0 && byte < 0xe0) this.begin(1, byte & 0x1f, 0x80);
    else if (byte >= 0xe0 && byte < 0xf0) this.begin(2, byte & 0x0f, 0x800);
    else if (byte >= 0xf0 && byte <= 0xf7) this.begin(3, byte & 0x07, 0x10000);
  }

  /** `smallest`: what is less would have been written in fewer bytes, and so is no character. */
  private begin(needed: number, value: number, smallest: number): void {
    this.needed = needed;
    this.value = value;
    this.smallest = smallest;
  }

  private passCharacter(): void {
    const is_surrogate = this.value >= 0xd800 && this.value <= 0xdfff;
    const is_character = this.value >= this.smallest && this.value <= 0x10ffff && !is_surrogate;
    if (is_character && LETTER.test(String.fromCodePoint(this.value))) this.state = OTHER;
    else this.endWord();
  }

  private endWord(): void {
    this.needed = 0;
    if (this.state === TODO || this.state === FIXME) {
      this.todos += 1;
      if (this.places.length < this.places_max) this.places.push(`${this.newlines + 1} ${BEGINNINGS[this.state]}`);
    }
    this.state = 0;
  }
}

const isText = (head: Buffer, cut: boolean) => {
  for (const byte of head) if (byte === 0) return false;
  if (isUtf8(head) || (cut && [1, 2, 3].some((length) => endsInsideCharacter(head, length)))) return true;
  for (const byte of head) if (byte < 0x08 || (byte > 0x0d && byte < 0x20 && byte !== 0x1b)) return false;
  return true;
};

/** Second bytes that between them complete every beginning of a character. */
const CONTINUATIONS = [0x80, 0x90, 0xa0];

/** Whether the last bytes begin a character that some further bytes complete, and all before them is valid. */
const endsInsideCharacter = (head: Buffer, length: number) => {
  const begun = head.subarray(head.length - length);
  if (head.length < length || !isUtf8(head.subarray(0, head.length - length))) return false;
  return CONTINUATIONS.some((byte) =>
    [1, 2, 3].some((more) => isUtf8(Buffer.concat([begun, Buffer.from([byte]), Buffer.alloc(more - 1, 0x80)]))),
  );
};
