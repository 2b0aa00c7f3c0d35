import { Injectable } from '@nestjs/common';
import type { Json } from '@nexusmon/kernel';
import { findUnkeepable, OUTPUT_BYTES_MAX } from '@nexusmon/shared-contract';
import type { ArtifactRef } from '@nexusmon/worker-contract';
import { BlobLost, Vault } from './vault.client.js';

/** Reads outputs that were too large for the log back from the vault. */
@Injectable()
export class Outputs {
  constructor(private readonly vault: Vault) {}

  /** Throws `Unavailable` while the vault is away, and `BlobLost` when the output will not be had any more. */
  async read(reference: ArtifactRef): Promise<Json> {
    const { artifact_id, sha256, size } = reference;
    const what = `output ${artifact_id}`;
    if (size > OUTPUT_BYTES_MAX) throw new BlobLost(what, 'it is larger than any may be');
    const bytes = await this.vault.readArtifact(artifact_id, { sha256, size, what });
    const value = JSON.parse(bytes.toString('utf8')) as Json;
    const unkeepable = findUnkeepable(value);
    if (unkeepable) throw new BlobLost(what, unkeepable.message);
    return value;
  }
}
