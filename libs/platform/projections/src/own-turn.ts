import { setImmediate as nextTurn } from 'node:timers/promises';

/** Whoever is being answered meanwhile waits no longer than this, and what one step takes. */
const SLICE_MS = 0.5;

let last: Promise<void> = Promise.resolve();

/**
 * A turn of the event loop for the caller alone, of those who ask for one: views wake together, and what all of them
 * have to do would be one pause for whoever is being answered.
 */
export const ownTurn = (): Promise<void> => (last = last.then(() => nextTurn()));

/** A long piece of work that lets the event loop turn in between. */
export class Slices {
  private began_ms = performance.now();

  /** Undefined while the present slice lasts: then there is nothing to wait for. */
  next(): Promise<void> | undefined {
    if (performance.now() - this.began_ms < SLICE_MS) return undefined;
    return nextTurn().then(() => {
      this.began_ms = performance.now();
    });
  }
}
