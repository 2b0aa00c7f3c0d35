import { Injectable } from '@nestjs/common';
import { isTerminal } from '@nexusmon/mission-domain';
import { MissionLog } from './mission-log.js';

/** Lets a request wait until a mission has ended. */
@Injectable()
export class Endings {
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(missions: MissionLog) {
    missions.observe((mission_id, state) => {
      if (isTerminal(state)) for (const tell of this.waiting.get(mission_id) ?? []) tell();
    });
  }

  /** Resolves when the mission has ended, at the latest after `wait_ms`. Ask before it can end. */
  async of(mission_id: string, wait_ms: number): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const tells = this.waiting.get(mission_id) ?? new Set();
    this.waiting.set(mission_id, tells.add(ended.resolve));
    const timer = setTimeout(ended.resolve, wait_ms);
    await ended.promise;
    clearTimeout(timer);
    tells.delete(ended.resolve);
    if (tells.size === 0) this.waiting.delete(mission_id);
  }
}
