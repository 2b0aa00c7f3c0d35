import { Injectable } from '@nestjs/common';
import { MessageClient, Unavailable } from '@nexusmon/messaging';
import { MISSION_SUBJECTS, type MissionDocument } from '@nexusmon/mission-contract';

const TIMEOUT_MS = 5_000;
const ENDED: readonly MissionDocument['status'][] = ['completed', 'failed', 'cancelled'];

/** `ended`: it reads nothing any more of what it has left here. */
export type Standing = Pick<MissionDocument, 'status' | 'effective_rank'> & Readonly<{ ended: boolean }>;

/** What the vault asks of missions before it deletes what they have left here. */
@Injectable()
export class MissionStanding {
  constructor(private readonly client: MessageClient) {}

  /** Undefined when there is none of this id. */
  async of(mission_id: string): Promise<Standing | undefined> {
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
    const { status, effective_rank } = reply.body;
    return { status, effective_rank, ended: ENDED.includes(status) };
  }
}
