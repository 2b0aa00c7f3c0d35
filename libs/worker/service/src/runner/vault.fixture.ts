// A vault as a runner sees it, for specs: the storage is real, the list of artifacts is a map. The real vault has specs
// of its own.

import type { BlobStore } from '@nexusmon/artifacts';
import { keyedId } from '@nexusmon/event-log';
import { Unavailable } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import { VAULT_SUBJECTS, type ArtifactDocument, type RecordArtifact } from '@nexusmon/vault-contract';

export class VaultFixture {
  readonly records: RecordArtifact[] = [];
  /** Requests fail this many times more. */
  failures = 0;
  private readonly artifacts = new Map<string, ArtifactDocument>();

  constructor(readonly blobs: BlobStore) {}

  async request<Body>(subject: string, body: unknown): Promise<Reply<Body>> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Unavailable('vault', 'it is away');
    }
    return { kind: 'done', changed: false, position: '', body: (await this.answer(subject, body)) as Body };
  }

  private async answer(subject: string, body: unknown): Promise<unknown> {
    switch (subject) {
      case VAULT_SUBJECTS.begin_upload: {
        const { sha256, size } = body as { sha256: string; size: number };
        const { kind } = await this.blobs.verify(sha256, size);
        return kind === 'verified' ? { present: true } : { present: false, url: await this.blobs.putUrl(sha256) };
      }
      case VAULT_SUBJECTS.record:
        return this.record(body as RecordArtifact);
      case VAULT_SUBJECTS.open: {
        const { artifact_id } = body as { artifact_id: string };
        const artifact = this.artifacts.get(artifact_id);
        if (!artifact) throw new Error(`no artifact ${artifact_id}`);
        return { artifact, url: await this.blobs.getUrl(artifact.sha256) };
      }
      default:
        throw new Error(`the runner asked the vault for ${subject}`);
    }
  }

  private async record({ asked, ...recorded }: RecordArtifact): Promise<ArtifactDocument> {
    const { kind } = await this.blobs.verify(recorded.sha256, recorded.size);
    if (kind !== 'verified') throw new Error(`the bytes to be recorded: ${kind}`);
    this.records.push({ asked, ...recorded });
    const artifact_id = keyedId('art', asked.command_id);
    const artifact = { artifact_id, version: 1, created_at: new Date().toISOString(), links: {}, ...recorded };
    this.artifacts.set(artifact_id, artifact);
    return artifact;
  }
}
