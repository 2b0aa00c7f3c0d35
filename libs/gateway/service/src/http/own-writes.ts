// Own writes: who has written reads it (ADR 4)
//
//   W1. A read that names no position takes the one of what its account has written in the last seconds, in whatever
//       session: whoever writes and then looks sees the write, or is told that the view has not come that far.
//   W2. A write is remembered for a short while only. A view that has stopped keeps nobody from reading what it has.
//   W3. What other accounts write is waited for by nobody who has not asked.

import { decodePosition, encodePosition, joinPositions, type Position, type PositionVector } from '@nexusmon/event-log';

/** Views are a tenth of a second behind, and seconds when a database comes back. */
export const REMEMBERED_MS = 10_000;

type Written = Readonly<{ vector: PositionVector; at_ms: number }>;

export class OwnWrites {
  /** The longest untouched first. */
  private readonly written = new Map<string, Written>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws when `position` is none. */
  note(account: string, position: Position): void {
    const vector = decodePosition(position);
    if (!vector) throw new Error(`${position} is not a position`);
    const before = this.recent(account);
    this.written.delete(account);
    this.written.set(account, {
      vector: before ? joinPositions(before.vector, vector) : vector,
      at_ms: this.now(),
    });
    this.forgetOld();
  }

  /** From where on a read of this account has to be answered; undefined when it may be answered as it is. */
  floor(account: string): Position | undefined {
    const recent = this.recent(account);
    return recent && encodePosition(recent.vector);
  }

  private recent(account: string): Written | undefined {
    const written = this.written.get(account);
    return written && this.now() - written.at_ms < REMEMBERED_MS ? written : undefined;
  }

  private forgetOld(): void {
    for (const [account, { at_ms }] of this.written) {
      if (this.now() - at_ms < REMEMBERED_MS) return;
      this.written.delete(account);
    }
  }
}
