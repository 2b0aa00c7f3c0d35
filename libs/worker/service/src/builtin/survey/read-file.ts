// One file, read once: its digest, its figures, and the lines its markers stand in.
//
//   F1. A link is not followed and a pipe does not block, even where one took the place of the file, or of a folder
//       above it, after the listing.
//   F2. At most the size found at opening is read: a file that grows faster than it is read still ends.

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { TodoPlace } from '@nexusmon/worker-contract';
import { openReal, realSize } from '../real-files.js';
import { faultCode, isGone, isUnreadable } from './file-faults.js';
import { languageOf } from './languages.js';
import { oneLine, pathText } from './path-text.js';
import { TextScanner } from './text-scanner.js';
import type { MarkerPlace } from './text-scanner.js';
import { below } from './walk.js';

const CHUNK_BYTES = 256 * 1024;
const SNIPPET_BYTES = 240;
const SNIPPET_CHARACTERS = 160;

export type FileFigures = Readonly<{
  size: number;
  sha256: string | null;
  lines: number;
  todos: number;
  language: string;
  places: readonly TodoPlace[];
}>;

export type SurveyedFile = Readonly<{ path: Buffer; figures: FileFigures }>;

export type Reading =
  | Readonly<{ outcome: 'read'; figures: FileFigures }>
  | Readonly<{ outcome: 'gone' }>
  | Readonly<{ outcome: 'special' }>
  | Readonly<{ outcome: 'unreadable'; size: number; reason: string }>;

export const UNREADABLE_LANGUAGE = 'Unreadable';

export const readFigures = async (
  root: Buffer,
  path: Buffer,
  places_max: number,
  signal: AbortSignal,
): Promise<Reading> => {
  const absolute = below(root, path);
  let handle: FileHandle | undefined;
  try {
    handle = await openReal(absolute);
    const { size } = await handle.stat().then((stat) => ({ size: stat.isFile() ? stat.size : -1 }));
    if (size === -1) return { outcome: 'special' };
    return { outcome: 'read', figures: await figuresOf(handle, size, path, places_max, signal) };
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code)) return { outcome: 'gone' };
    if (!isUnreadable(code)) throw error;
    return unreadable(absolute, code);
  } finally {
    await handle?.close();
  }
};

const unreadable = async (absolute: Buffer, reason: string): Promise<Reading> => {
  try {
    return { outcome: 'unreadable', size: await realSize(absolute), reason };
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code)) return { outcome: 'gone' };
    if (!isUnreadable(code)) throw error;
    return { outcome: 'unreadable', size: 0, reason };
  }
};

const figuresOf = async (
  handle: FileHandle,
  size_max: number,
  path: Buffer,
  places_max: number,
  signal: AbortSignal,
): Promise<FileFigures> => {
  const hash = createHash('sha256');
  const scanner = new TextScanner(places_max);
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(size_max, CHUNK_BYTES)));
  let size = 0;
  while (size < size_max) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size_max - size), size);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    scanner.push(chunk);
    size += bytesRead;
  }
  const { is_text, lines, todos, places } = scanner.end();
  return {
    size,
    sha256: hash.digest('hex'),
    lines,
    todos,
    language: languageOf(path, is_text, scanner.beginning),
    places: await Promise.all(places.map((place) => shownPlace(handle, path, place))),
  };
};

/** The marker with what stands before and after it in its line: read again, so that no line need be kept in memory. */
const shownPlace = async (handle: FileHandle, path: Buffer, place: MarkerPlace): Promise<TodoPlace> => {
  const from = Math.max(0, place.offset - SNIPPET_BYTES);
  const around = Buffer.alloc(2 * SNIPPET_BYTES);
  const { bytesRead } = await handle.read(around, 0, around.length, from);
  const at = place.offset - from;
  const line_start = at === 0 ? 0 : around.lastIndexOf(0x0a, at - 1) + 1;
  const next = around.subarray(0, bytesRead).indexOf(0x0a, at);
  const line = around.subarray(line_start, next === -1 ? bytesRead : next).toString('utf8');
  // A cut in the middle of a long line may go through a character.
  const text = oneLine(line.replace(/^\uFFFD+/, ''), SNIPPET_CHARACTERS);
  return { path: pathText(path), line: place.line, marker: place.marker, text };
};
