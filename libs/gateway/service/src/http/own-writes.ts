// Own writes: who has written reads it (ADR 4)
//
//   W1. A read that names no position takes the one of what its account has written in the last seconds, in whatever
//       session: whoever writes and then looks sees the write, or is told that the view has not come that far.
//   W2. A write is remembered for a short while only, whatever comes after it: a view that has stopped keeps nobody
//       from reading what it has, but those who go on writing, who are told.
//   W3. What other accounts write is waited for by nobody who has not asked.

import { decodePosition, encodePosition, joinPositions, type Place, type Position } from '@nexusmon/event-log';

/** Views are a tenth of a second behind, and seconds when a database comes back. */
export const REMEMBERED_MS = 10_000;

/** By stream, how far it was written, and when. */
type Written = ReadonlyMap<number, Readonly<{ place: Place; at_ms: number }>>;

const placesOf = (written: Written) => new Map([...written].map(([stream, { place }]) => [stream, place]));

export class OwnWrites {
  /** The longest untouched first. */
  private readonly written = new Map<string, Written>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws when `position` is none. */
  note(account: string, position: Position): void {
    const vector = decodePosition(position);
    if (!vector) throw new Error(`${position} is not a position`);
    const recent = this.recent(account);
    const at_ms = this.now();
    const latest = joinPositions(placesOf(recent), vector);
    const noted = [...vector].map(
      ([stream, place]) => [stream, { place: latest.get(stream) ?? place, at_ms }] as const,
    );
    this.written.delete(account);
    this.written.set(account, new Map([...recent, ...noted]));
    this.forgetOld();
  }

  /** From where on a read of this account has to be answered; undefined when it may be answered as it is. */
  floor(account: string): Position | undefined {
    const recent = this.recent(account);
    return recent.size > 0 ? encodePosition(placesOf(recent)) : undefined;
  }

  private recent(account: string): Written {
    const written = this.written.get(account) ?? new Map<never, never>();
    return new Map([...written].filter(([, { at_ms }]) => this.now() - at_ms < REMEMBERED_MS));
  }

  private forgetOld(): void {
    for (const account of this.written.keys()) {
      if (this.recent(account).size > 0) return;
      this.written.delete(account);
    }
  }
}
