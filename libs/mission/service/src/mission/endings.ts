import { Injectable } from '@nestjs/common';
import { isTerminal, type Mission } from '@nexusmon/mission-domain';
import { MissionLog } from './mission-log.js';

export type Ending = Readonly<{ state: Mission; position: string }>;

/** Whoever expects an ending forgets it in the end, whether it came, was awaited, or not. */
export type Expected = Readonly<{
  /** How the mission ended; undefined when it had not in time. */
  comes: () => Promise<Ending | undefined>;
  forget: () => void;
}>;

/** Lets a request wait until a mission has ended. */
@Injectable()
export class Endings {
  private readonly waiting = new Map<string, Set<(ending: Ending) => void>>();

  constructor(missions: MissionLog) {
    missions.observe((mission_id, state, position) => {
      if (isTerminal(state)) for (const tell of this.waiting.get(mission_id) ?? []) tell({ state, position });
    });
  }

  /** Expects an ending within `wait_ms` from now; ask before it can come. */
  expect(mission_id: string, wait_ms: number): Expected {
    if (wait_ms === 0) return { comes: () => Promise.resolve(undefined), forget: () => undefined };
    const ended = Promise.withResolvers<Ending | undefined>();
    const tells = this.waiting.get(mission_id) ?? new Set();
    this.waiting.set(mission_id, tells.add(ended.resolve));
    const timer = setTimeout(() => ended.resolve(undefined), wait_ms);
    const forget = () => {
      clearTimeout(timer);
      tells.delete(ended.resolve);
      if (tells.size === 0 && this.waiting.get(mission_id) === tells) this.waiting.delete(mission_id);
    };
    return { comes: () => ended.promise, forget };
  }

  /** How many missions somebody waits for. */
  get size(): number {
    return this.waiting.size;
  }
}
