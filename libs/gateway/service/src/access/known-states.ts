// What the log says of sessions or of API tokens, as this process knows it.
//
//   S1. What is known is looked at again after 4 s: what another process ended is refused within 5 s.
//   S2. What this process itself sees happen it knows at once.

import { LRUCache } from 'lru-cache';

const KNOWN_MAX = 10_000;
const KNOWN_FOR_MS = 4_000;

export class KnownStates<State extends object> {
  private readonly known = new LRUCache<string, State>({ max: KNOWN_MAX, ttl: KNOWN_FOR_MS });

  constructor(private readonly load: (id: string) => Promise<Readonly<{ state: State }>>) {}

  async of(id: string): Promise<State> {
    const at_hand = this.known.get(id);
    if (at_hand) return at_hand;
    const { state } = await this.load(id);
    this.known.set(id, state);
    return state;
  }

  note(id: string, state: State): void {
    this.known.set(id, state);
  }

  /** Told by the live log: another process may have changed it. */
  forget(id: string): void {
    this.known.delete(id);
  }
}
