import { Injectable } from '@nestjs/common';
import { isDependent } from '@nexusmon/messaging';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { exists, toDocument, type ExistingMission, type Mission } from '@nexusmon/mission-domain';
import type { Reply } from '@nexusmon/shared-contract';
import { Enclosures } from '../enclosure/enclosures.js';
import { BlobLost } from '../vault/vault.client.js';
import type { MissionOutcome } from './mission-log.js';
import { notFound, refusalOf } from './replies.js';

/** A document is worth more now without its inputs than later with them. */
const OPENED_WITHIN_MS = 1_500;

/** Missions as their readers see them, with what lies in the vault in its place. */
@Injectable()
export class MissionDocuments {
  constructor(private readonly enclosures: Enclosures) {}

  async reply(state: Mission, position: string, changed: boolean): Promise<Reply<MissionDocument>> {
    return exists(state) ? { kind: 'done', changed, position, body: await this.of(state) } : notFound;
  }

  async replyOf(outcome: MissionOutcome): Promise<Reply<MissionDocument>> {
    return outcome.kind === 'rejected'
      ? { kind: 'refused', refusal: refusalOf(outcome.rejection) }
      : this.reply(outcome.state, outcome.position, outcome.kind === 'accepted');
  }

  /** What cannot be opened is said to be so: what was decided is answered whoever is away. */
  private async of(state: ExistingMission): Promise<MissionDocument> {
    if (!state.request.enclosure) return toDocument(state);
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), OPENED_WITHIN_MS);
    try {
      const whole = await Promise.race([this.enclosures.open(state), late.promise]);
      return whole ? toDocument(whole, 'opened') : toDocument(state, 'unavailable');
    } catch (error) {
      if (error instanceof BlobLost) return toDocument(state, 'lost');
      if (isDependent(error)) return toDocument(state, 'unavailable');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
