import { decodePosition, encodePosition, type Place, type Position } from '@nexusmon/event-log';

const isBefore = (one: Place, other: Place): boolean =>
  one.sequence < other.sequence || (one.sequence === other.sequence && one.index < other.index);

/** Where everything that was read at one of these positions has been read: nothing behind it is missed. */
export const earliestOf = (positions: readonly Position[]): Position => {
  const places = new Map<number, Place>();
  for (const position of positions)
    for (const [stream, place] of decodePosition(position) ?? []) {
      const known = places.get(stream);
      if (!known || isBefore(place, known)) places.set(stream, place);
    }
  return encodePosition(places);
};
