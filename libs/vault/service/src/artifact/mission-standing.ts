import { Injectable } from '@nestjs/common';
import { MessageClient, Unavailable } from '@nexusmon/messaging';
import { MISSION_SUBJECTS, type MissionDocument } from '@nexusmon/mission-contract';

const TIMEOUT_MS = 5_000;
const ENDED: readonly MissionDocument['status'][] = ['completed', 'failed', 'cancelled'];

/** What the vault asks of missions: whether one may still read what it has left here. */
@Injectable()
export class MissionStanding {
  constructor(private readonly client: MessageClient) {}

  /** The status of a mission that has not ended; undefined when it has, or when there is none of this id. */
  async runningAs(mission_id: string): Promise<MissionDocument['status'] | undefined> {
    const reply = await this.client.request<MissionDocument>(
      MISSION_SUBJECTS.get,
      { mission_id },
      { timeout_ms: TIMEOUT_MS },
    );
    if (reply.kind === 'unavailable') throw new Unavailable(reply.unavailable.dependency, reply.unavailable.detail);
    if (reply.kind === 'refused') {
      if (reply.refusal.code === 'mission-not-found') return undefined;
      throw new Error(`mission ${mission_id}: ${reply.refusal.detail}`);
    }
    const { status } = reply.body;
    return ENDED.includes(status) ? undefined : status;
  }
}
