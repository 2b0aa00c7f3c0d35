import { Injectable } from '@nestjs/common';
import { isTerminal, type Mission } from '@nexusmon/mission-domain';
import { MissionLog } from './mission-log.js';

export type Ending = Readonly<{ state: Mission; position: string }>;

/** Lets a request wait until a mission has ended. */
@Injectable()
export class Endings {
  private readonly waiting = new Map<string, Set<(ending: Ending) => void>>();

  constructor(missions: MissionLog) {
    missions.observe((mission_id, state, position) => {
      if (isTerminal(state)) for (const tell of this.waiting.get(mission_id) ?? []) tell({ state, position });
    });
  }

  /** How the mission ended; undefined when it has not after `wait_ms`. Ask before it can end. */
  async of(mission_id: string, wait_ms: number): Promise<Ending | undefined> {
    const ended = Promise.withResolvers<Ending | undefined>();
    const tells = this.waiting.get(mission_id) ?? new Set();
    this.waiting.set(mission_id, tells.add(ended.resolve));
    const timer = setTimeout(() => ended.resolve(undefined), wait_ms);
    const ending = await ended.promise;
    clearTimeout(timer);
    tells.delete(ended.resolve);
    if (tells.size === 0) this.waiting.delete(mission_id);
    return ending;
  }
}
