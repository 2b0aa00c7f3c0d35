import { Controller } from '@nestjs/common';
import { Handle } from '@nexusmon/messaging';
import { Projections } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import {
  beginUpload,
  getArtifact,
  listArtifacts,
  openArtifact,
  recordArtifact,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type RecordArtifact,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ArtifactList } from './artifact-list.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';
import { Artifacts } from './artifacts.js';

@Controller()
export class ArtifactRequestHandler {
  constructor(
    private readonly artifacts: Artifacts,
    private readonly artifactList: ArtifactList,
    private readonly projections: Projections,
  ) {}

  @Handle(VAULT_SUBJECTS.begin_upload, beginUpload)
  beginUpload({ sha256, size }: z.infer<typeof beginUpload>) {
    return this.artifacts.beginUpload(sha256, size);
  }

  @Handle(VAULT_SUBJECTS.record, recordArtifact)
  record(request: RecordArtifact) {
    return this.artifacts.record(request);
  }

  @Handle(VAULT_SUBJECTS.get, getArtifact)
  get({ artifact_id, min_position }: z.infer<typeof getArtifact>) {
    return this.artifacts.get(artifact_id, min_position);
  }

  @Handle(VAULT_SUBJECTS.open, openArtifact)
  open({ artifact_id }: z.infer<typeof openArtifact>) {
    return this.artifacts.open(artifact_id);
  }

  @Handle(VAULT_SUBJECTS.list, listArtifacts)
  async list({ min_position, ...query }: z.infer<typeof listArtifacts>): Promise<Reply<Page<ArtifactDocument>>> {
    const unreached = await this.projections.unreached(ARTIFACT_PROJECTION, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    // Read before the rows, so that it never claims more than they hold.
    const position = this.projections.checkpointPosition(ARTIFACT_PROJECTION);
    const body = await this.artifactList.page(query);
    if (body) return { kind: 'done', changed: false, position, body };
    return {
      kind: 'refused',
      refusal: { code: 'malformed-cursor', detail: 'the cursor was not given out by this list' },
    };
  }
}
