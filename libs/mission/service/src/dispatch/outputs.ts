import { Injectable } from '@nestjs/common';
import { sha256Hex } from '@nexusmon/event-log';
import type { Json } from '@nexusmon/kernel';
import { MessageClient, Unavailable } from '@nexusmon/messaging';
import { findUnkeepable, OUTPUT_BYTES_MAX } from '@nexusmon/shared-contract';
import { openedArtifact, VAULT_SUBJECTS } from '@nexusmon/vault-contract';
import type { ArtifactRef } from '@nexusmon/worker-contract';

const TIMEOUT_MS = 5_000;

/** Reads outputs that were too large for the log back from the vault. */
@Injectable()
export class Outputs {
  constructor(private readonly client: MessageClient) {}

  /** Throws `Unavailable` while the vault is away, and an Error when the bytes are not those that were kept. */
  async read(reference: ArtifactRef): Promise<Json> {
    if (reference.size > OUTPUT_BYTES_MAX) throw new Error(`output ${reference.artifact_id} is larger than any may be`);
    const { artifact_id } = reference;
    const reply = await this.client.request<unknown>(VAULT_SUBJECTS.open, { artifact_id }, { timeout_ms: TIMEOUT_MS });
    if (reply.kind === 'unavailable') throw new Unavailable(reply.unavailable.dependency, reply.unavailable.detail);
    if (reply.kind === 'refused') throw new Error(`output ${artifact_id}: ${reply.refusal.detail}`);
    const { url } = openedArtifact.parse(reply.body);
    const bytes = await this.fetchBytes(url);
    if (sha256Hex(bytes) !== reference.sha256) throw new Error(`output ${artifact_id} has other bytes than were kept`);
    const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Json;
    const unkeepable = findUnkeepable(value);
    if (unkeepable) throw new Error(`output ${artifact_id}: ${unkeepable.message}`);
    return value;
  }

  private async fetchBytes(url: string): Promise<Uint8Array> {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!response.ok) throw new Unavailable('vault', `the store answered ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      throw new Unavailable('vault', 'the store did not answer', { cause: error });
    }
  }
}
