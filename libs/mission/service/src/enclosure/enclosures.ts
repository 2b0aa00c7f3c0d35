// Enclosures: parameters and inputs that are too large for the log, as one blob each in the vault.
//
//   N4. The blob is kept before any event names it. A crash in between leaves a blob that nothing refers to.
//   N5. It holds the very text that a sealed field of the mission would: ciphertext under the mission's data key, bound
//       to the mission. Destroying the key erases it like everything else that is sealed.
//   N6. What was opened is cached within a bound, and is never changed by whoever gets it.

import { Injectable } from '@nestjs/common';
import { canonical, keyIdOf, openText, SealBroken, sealText } from '@nexusmon/event-log';
import { Keyring, KeyDestroyed } from '@nexusmon/keys';
import type { EnclosedContent, Enclosure } from '@nexusmon/mission-contract';
import { opened, type ExistingMission } from '@nexusmon/mission-domain';
import { LRUCache } from 'lru-cache';
import { BlobLost, Vault } from '../vault/vault.client.js';

const CACHED_BYTES_MAX = 8 * 1024 * 1024;

/** What is said to be lost. */
const INPUTS = 'the inputs of this mission, which lie in the vault';
const contextOf = (mission_id: string) => `enclosure of ${mission_id}`;

@Injectable()
export class Enclosures {
  private readonly cache = new LRUCache<string, EnclosedContent>({ maxSize: CACHED_BYTES_MAX });
  /** All tasks of a mission that become ready together open it once. */
  private readonly opening = new Map<string, Promise<EnclosedContent>>();

  constructor(
    private readonly vault: Vault,
    private readonly keyring: Keyring,
  ) {}

  async keep(mission_id: string, key_id: string, content: EnclosedContent): Promise<Enclosure> {
    const key = await this.keyring.get(key_id);
    if (!key) throw new KeyDestroyed(key_id);
    const enclosure = await this.vault.put(
      Buffer.from(sealText(canonical(content), key_id, key, contextOf(mission_id))),
    );
    this.cache.set(enclosure.sha256, content, { size: enclosure.size });
    return enclosure;
  }

  /**
   * The mission with everything in its place; one without an enclosure as it is. Throws `Unavailable` while the vault
   * is away, and `BlobLost` when the enclosure will not be had any more.
   */
  async open(state: ExistingMission): Promise<ExistingMission> {
    const { enclosure, mission_id } = state.request;
    if (!enclosure) return state;
    const whole = opened(state, await this.contentOf(enclosure, mission_id));
    if (!whole) throw new BlobLost(INPUTS, 'what the vault holds belongs to another plan');
    return whole;
  }

  private contentOf(enclosure: Enclosure, mission_id: string): Promise<EnclosedContent> {
    const { sha256 } = enclosure;
    const cached = this.cache.get(sha256);
    if (cached) return Promise.resolve(cached);
    const opening =
      this.opening.get(sha256) ?? this.load(enclosure, mission_id).finally(() => this.opening.delete(sha256));
    this.opening.set(sha256, opening);
    return opening;
  }

  private async load(enclosure: Enclosure, mission_id: string): Promise<EnclosedContent> {
    const sealed = (await this.vault.read({ ...enclosure, what: INPUTS })).toString('utf8');
    const key = await this.keyring.get(keyIdOf(sealed));
    if (!key) throw new BlobLost(INPUTS, 'their data key has been destroyed');
    const content = JSON.parse(openSealed(sealed, key, mission_id)) as EnclosedContent;
    this.cache.set(enclosure.sha256, content, { size: enclosure.size });
    return content;
  }
}

const openSealed = (sealed: string, key: Parameters<typeof openText>[1], mission_id: string): string => {
  try {
    return openText(sealed, key, contextOf(mission_id));
  } catch (error) {
    if (error instanceof SealBroken) throw new BlobLost(INPUTS, 'what the vault holds was sealed for something else');
    throw error;
  }
};
