import { Controller } from '@nestjs/common';
import { Handle } from '@nexusmon/messaging';
import { Projections } from '@nexusmon/projections';
import type { Page, Reply } from '@nexusmon/shared-contract';
import {
  askLineage,
  askPieces,
  beginUpload,
  checkArtifact,
  deleteArtifact,
  getArtifact,
  listArtifacts,
  listVersions,
  openArtifact,
  openBlob,
  recordArtifact,
  recordUpload,
  stagePart,
  stageUpload,
  unstageUpload,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type DeleteArtifact,
  type LineageDocument,
  type RecordArtifact,
  type RecordUpload,
  type StagedUpload,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ArtifactList } from './artifact-list.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';
import { Artifacts, notFound } from './artifacts.js';
import { Lineage } from './lineage.js';
import { Uploads } from './uploads.js';

type Refused = Extract<Reply<never>, { kind: 'refused' }>;
type Placed = Readonly<{ min_position?: string | undefined }>;

const badCursor: Refused = {
  kind: 'refused',
  refusal: { code: 'malformed-cursor', detail: 'the cursor was not given out by this list' },
};
const pageOr = <Item>(page: Page<Item> | undefined): Page<Item> | Refused => page ?? badCursor;
const isRefused = (read: object): read is Refused => 'kind' in read && read.kind === 'refused';

@Controller()
export class ArtifactRequestHandler {
  constructor(
    private readonly artifacts: Artifacts,
    private readonly uploads: Uploads,
    private readonly list: ArtifactList,
    private readonly lineage: Lineage,
    private readonly projections: Projections,
  ) {}

  @Handle(VAULT_SUBJECTS.begin_upload, beginUpload)
  beginUpload(request: z.infer<typeof beginUpload>) {
    return this.artifacts.beginUpload(request);
  }

  @Handle(VAULT_SUBJECTS.record, recordArtifact)
  record(request: RecordArtifact) {
    return this.artifacts.record(request);
  }

  @Handle(VAULT_SUBJECTS.stage, stageUpload)
  stage(request: z.infer<typeof stageUpload>) {
    return this.uploads.stage(request);
  }

  @Handle(VAULT_SUBJECTS.stage_part, stagePart)
  stagePart(request: z.infer<typeof stagePart>) {
    return this.uploads.part(request);
  }

  @Handle(VAULT_SUBJECTS.unstage, unstageUpload)
  unstage(request: StagedUpload) {
    return this.uploads.unstage(request);
  }

  @Handle(VAULT_SUBJECTS.upload, recordUpload)
  recordUpload(request: RecordUpload) {
    return this.uploads.record(request);
  }

  @Handle(VAULT_SUBJECTS.delete, deleteArtifact)
  delete(request: DeleteArtifact) {
    return this.artifacts.delete(request);
  }

  @Handle(VAULT_SUBJECTS.check, checkArtifact)
  check(request: z.infer<typeof checkArtifact>) {
    return this.artifacts.check(request);
  }

  @Handle(VAULT_SUBJECTS.open, openArtifact)
  open({ artifact_id }: z.infer<typeof openArtifact>) {
    return this.artifacts.open(artifact_id);
  }

  @Handle(VAULT_SUBJECTS.open_blob, openBlob)
  openBlob({ sha256 }: z.infer<typeof openBlob>) {
    return this.artifacts.openBlob(sha256);
  }

  @Handle(VAULT_SUBJECTS.pieces, askPieces)
  pieces(request: z.infer<typeof askPieces>) {
    return this.artifacts.piecesOf(request);
  }

  @Handle(VAULT_SUBJECTS.get, getArtifact)
  async get({ artifact_id, min_position }: z.infer<typeof getArtifact>): Promise<Reply<ArtifactDocument>> {
    const unreached = await this.projections.unreached(ARTIFACT_PROJECTION, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    const found = await this.list.get(artifact_id);
    return found ? { kind: 'done', changed: false, position: found.position, body: found.document } : notFound;
  }

  @Handle(VAULT_SUBJECTS.list, listArtifacts)
  async page({ min_position, ...query }: z.infer<typeof listArtifacts>): Promise<Reply<Page<ArtifactDocument>>> {
    return this.read({ min_position }, async () => pageOr(await this.list.page(query)));
  }

  @Handle(VAULT_SUBJECTS.versions, listVersions)
  async versions({
    artifact_id,
    min_position,
    ...query
  }: z.infer<typeof listVersions>): Promise<Reply<Page<ArtifactDocument>>> {
    return this.read({ min_position }, async () => {
      const found = await this.list.get(artifact_id);
      return found ? pageOr(await this.list.page({ ...query, name: found.document.name })) : notFound;
    });
  }

  @Handle(VAULT_SUBJECTS.lineage, askLineage)
  async lineageOf({ min_position, ...query }: z.infer<typeof askLineage>): Promise<Reply<LineageDocument>> {
    return this.read({ min_position }, async () =>
      (await this.list.get(query.artifact_id)) ? this.lineage.of(query) : notFound,
    );
  }

  /** What the view holds from `min_position` on. */
  private async read<Body extends object>(
    { min_position }: Placed,
    look: () => Promise<Body | Refused>,
  ): Promise<Reply<Body>> {
    const unreached = await this.projections.unreached(ARTIFACT_PROJECTION, min_position);
    if (unreached) return { kind: 'refused', refusal: unreached };
    // Read before the rows, so that it never claims more than they hold.
    const position = this.projections.checkpointPosition(ARTIFACT_PROJECTION);
    const body = await look();
    return isRefused(body) ? body : { kind: 'done', changed: false, position, body };
  }
}
