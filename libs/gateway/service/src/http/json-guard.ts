// JSON guard
//
//   J1. Nothing recurses into a body before its depth is known: one pass over the text, with a stack of at most 64.
//   J2. `__proto__`, and `constructor` holding `prototype`, are refused wherever they stand, however they are escaped.
//   J3. A name that occurs twice in one object is refused: two readers could see two different requests.
//   J4. What no store of ours can keep (U+0000, lone surrogates) is refused with its path.

import type { Json } from '@nexusmon/kernel';
import { DEPTH_MAX, findUnkeepable } from '@nexusmon/shared-contract';
import { field, problem, type Problem } from './problem.js';

type Frame = { readonly names: Set<string> | undefined; index: number; name: string };

/** `plan/tasks/0/worker`: how every problem names a place in a body. */
export const pathText = (path: readonly PropertyKey[]): string => path.map(String).join('/');

const pathOf = (frames: readonly Frame[]): string =>
  pathText(frames.map((frame) => (frame.names ? frame.name : frame.index)));

const refused = (path: string, message: string): Problem =>
  problem('schema-violated', { detail: `${path || 'the body'}: ${message}`, errors: [field(path, message)] });

const malformed = (detail: string): Problem => problem('malformed-json', { detail, errors: [field('', detail)] });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Index of the quote that ends the string which begins at `start`, or the length of the text. */
const endOfString = (text: string, start: number): number => {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
  return text.length;
};

const nameIn = (text: string, start: number, end: number): string => {
  const raw = text.slice(start, end + 1);
  try {
    return JSON.parse(raw) as string;
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed('a field name is not a JSON string');
    throw error;
  }
};

const enterName = (frames: readonly Frame[], frame: Frame, name: string): void => {
  frame.name = name;
  if (name === '__proto__') throw refused(pathOf(frames), 'not a field name that is allowed');
  const parent = frames.at(-2);
  if (name === 'prototype' && parent?.names && parent.name === 'constructor')
    throw refused(pathOf(frames), 'not a field name that is allowed');
  if (frame.names?.has(name)) throw malformed(`the field ${pathOf(frames)} occurs twice`);
  frame.names?.add(name);
};

/** Looks only at structure; whether the rest is JSON is for the parser to say. */
const scan = (text: string): void => {
  const frames: Frame[] = [];
  let string_start = -1;
  let string_end = -1;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    const frame = frames.at(-1);
    if (character === '"') {
      string_start = at;
      at = string_end = endOfString(text, at);
    } else if (character === '{' || character === '[') {
      if (frames.length >= DEPTH_MAX) throw refused(pathOf(frames), `deeper than ${DEPTH_MAX}`);
      frames.push({ names: character === '{' ? new Set() : undefined, index: 0, name: '' });
    } else if (character === '}' || character === ']') {
      frames.pop();
    } else if (character === ':' && frame?.names && string_start >= 0) {
      enterName(frames, frame, nameIn(text, string_start, string_end));
      string_start = -1;
    } else if (character === ',' && frame && !frame.names) {
      frame.index += 1;
    }
  }
};

/** Where the parser stopped. Its own message quotes the body, and bodies may hold keys. */
const whereItStopped = (error: SyntaxError): string => {
  const position = /position (\d+)/.exec(error.message)?.[1];
  return position === undefined ? 'the body ends before its JSON does' : `not JSON at position ${position}`;
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decode = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    // By its code: the decoder belongs to Node, and its errors to another realm than a sandbox's.
    if (
      typeof error === 'object' &&
      error !== null &&
      'code' in error &&
      error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
    )
      throw malformed('the body is not UTF-8');
    throw error;
  }
};

/** A body as a value that is safe to validate, or the problem it has. */
export const parseJson = (bytes: Uint8Array): Json => {
  const text = decode(bytes);
  scan(text);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(whereItStopped(error));
    throw error;
  }
  const found = findUnkeepable(value);
  if (found) throw refused(pathText(found.path), found.message);
  return value;
};
