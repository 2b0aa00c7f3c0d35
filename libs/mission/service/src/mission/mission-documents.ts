import { Injectable } from '@nestjs/common';
import { isDependent } from '@nexusmon/messaging';
import type { EnclosureStatus, MissionDocument } from '@nexusmon/mission-contract';
import { exists, toDocument, type ExistingMission, type Mission } from '@nexusmon/mission-domain';
import type { Reply } from '@nexusmon/shared-contract';
import { Enclosures } from '../enclosure/enclosures.js';
import { BlobLost } from '../vault/vault.client.js';
import { fitted } from './document-size.js';
import type { MissionOutcome } from './mission-log.js';
import { notFound, refusalOf } from './replies.js';

/** A document is worth more now without its inputs than later with them. */
const OPENED_WITHIN_MS = 1_500;

type Opened = Readonly<{ state: ExistingMission; enclosure_status: EnclosureStatus | undefined }>;

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

  private async of(state: ExistingMission): Promise<MissionDocument> {
    return fitted(await this.whole(state));
  }

  /** However large it is. */
  async whole(state: ExistingMission): Promise<MissionDocument> {
    const { state: shown, enclosure_status } = await this.opened(state);
    return toDocument(shown, enclosure_status);
  }

  /** What cannot be opened is said to be so: what was decided is answered whoever is away. */
  async opened(state: ExistingMission): Promise<Opened> {
    if (!state.request.enclosure) return { state, enclosure_status: undefined };
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), OPENED_WITHIN_MS);
    try {
      const whole = await Promise.race([this.enclosures.open(state), late.promise]);
      return whole ? { state: whole, enclosure_status: 'opened' } : { state, enclosure_status: 'unavailable' };
    } catch (error) {
      if (error instanceof BlobLost) return { state, enclosure_status: 'lost' };
      if (isDependent(error)) return { state, enclosure_status: 'unavailable' };
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
