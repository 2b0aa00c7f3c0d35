// Positions
//
// How far the log has been read or written: for each stream its incarnation, the sequence of a commit, and the index of
// an event in it. To everybody else opaque text that survives a URL: `<stream>.<incarnation>.<sequence>.<index>`, one
// for each stream, joined by `~`.
//
//   O1. There is no order across streams: a vector is at or after another when it is so in every stream of the other.
//   O2. Nothing compares across incarnations: a stream that was made anew has other events at the same sequences.

import { sha256Hex } from './canonical.js';

export type Position = string;
export type Place = Readonly<{ incarnation: string; sequence: number; index: number }>;
export type PositionVector = ReadonlyMap<number, Place>;

const INCARNATION_DIGITS = 12;
const PART = /^(0|[1-9][0-9]{0,2})\.([0-9a-f]{12})\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,5})$/;

/** Tells a stream from another one of the same name. Known before the first message, and the same after it. */
export const incarnationOf = (name: string, created: string): string =>
  sha256Hex(`${created}\n${name}`).slice(0, INCARNATION_DIGITS);

/** One place of one stream. */
export const positionOf = (stream: number, { incarnation, sequence, index }: Place): Position =>
  `${stream}.${incarnation}.${sequence}.${index}`;

export const encodePosition = (vector: PositionVector): Position =>
  [...vector]
    .sort(([a], [b]) => a - b)
    .map(([stream, place]) => positionOf(stream, place))
    .join('~');

/** Undefined for text that is not a position. */
export const decodePosition = (text: string): PositionVector | undefined => {
  const places = new Map<number, Place>();
  for (const part of text.split('~')) {
    const [, stream, incarnation, sequence, index] = PART.exec(part) ?? [];
    if (stream === undefined || incarnation === undefined) return undefined;
    if (places.has(Number(stream)) || !Number.isSafeInteger(Number(sequence))) return undefined;
    places.set(Number(stream), { incarnation, sequence: Number(sequence), index: Number(index) });
  }
  return places;
};

const placeAtOrAfter = (place: Place | undefined, target: Place): boolean =>
  place !== undefined &&
  place.incarnation === target.incarnation &&
  (place.sequence > target.sequence || (place.sequence === target.sequence && place.index >= target.index));

/** Whether all that lies up to `target` lies up to `vector` too (O1). */
export const isAtOrAfter = (vector: PositionVector, target: PositionVector): boolean =>
  [...target].every(([stream, place]) => placeAtOrAfter(vector.get(stream), place));

/** Whether a position can be compared with the streams as they are now (O2). */
export const isOfIncarnations = (vector: PositionVector, incarnations: ReadonlyMap<number, string>): boolean =>
  [...vector].every(([stream, { incarnation }]) => incarnations.get(stream) === incarnation);

/** The later place in every stream. */
export const joinPositions = (a: PositionVector, b: PositionVector): PositionVector => {
  const joined = new Map(a);
  for (const [stream, place] of b) if (!placeAtOrAfter(joined.get(stream), place)) joined.set(stream, place);
  return joined;
};
