import {
  artifact_id,
  asked,
  digest,
  firstVersion,
  instant,
  mission_id,
  pageQuery,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { attempt, task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';

export const ARTIFACT_BYTES_MAX = 5 * 1024 * 1024 * 1024;
export const artifact_kind = z.enum(['output', 'log', 'snapshot', 'review', 'document']).meta({ id: 'ArtifactKind' });
/** `<mission_id>/<task_id>/<file>` unless the plan names it. No empty, `.` or `..` parts. */
export const artifact_name = z
  .string()
  .min(1)
  .max(512)
  .regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[\p{L}\p{N} ._@+=,()[\]/-]+$/u, 'not an artifact name');

const producer = { mission_id, task_id, attempt, worker: z.string() };

/** One immutable version of a named series. The blob lay under its SHA-256, verified, before this was written. */
export const artifactEvents = {
  ArtifactRecorded: firstVersion(
    z.strictObject({
      artifact_id,
      name: artifact_name,
      version: z.int().min(1),
      sha256: digest,
      size: z.int().min(0),
      media_type: z.string().max(256),
      kind: artifact_kind,
      ...producer,
      inputs: z.array(artifact_id),
    }),
  ),
} satisfies Catalogue;
export type ArtifactEvent = EventsOf<typeof artifactEvents>;

export const artifactDocument = z
  .strictObject({
    artifact_id,
    name: artifact_name,
    version: z.int(),
    sha256: digest,
    media_type: z.string(),
    size: z.int(),
    kind: artifact_kind,
    mission_id,
    task_id,
    attempt,
    worker: z.string(),
    inputs: z.array(artifact_id),
    created_at: instant,
    links: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Artifact' });
export type ArtifactDocument = z.infer<typeof artifactDocument>;

/** Where a blob of this digest may be put: a URL for one PUT of exactly `size` bytes; none when it is there already. */
export const beginUpload = z.strictObject({ sha256: digest, size: z.int().min(0).max(ARTIFACT_BYTES_MAX) });
export const uploadTarget = z.strictObject({ present: z.boolean(), url: z.string().optional() });

/** Records a blob that has been put. Refused unless the stored bytes have this digest. Listed once answered. */
export const recordArtifact = z.strictObject({
  asked,
  name: artifact_name,
  sha256: digest,
  size: z.int().min(0),
  media_type: z.string().max(256),
  kind: artifact_kind,
  ...producer,
  inputs: z.array(artifact_id).max(1_000),
});
export type RecordArtifact = z.infer<typeof recordArtifact>;
export const getArtifact = z.strictObject({ artifact_id, min_position: z.string().optional() });
/** A short-lived URL for one GET of the blob; the reader checks the digest. */
export const openArtifact = z.strictObject({ artifact_id });
export const openedArtifact = z.strictObject({ artifact: artifactDocument, url: z.string() });
export const listArtifacts = z.strictObject({
  ...pageQuery,
  mission_id: mission_id.optional(),
  name: z.string().max(512).optional(),
  min_position: z.string().optional(),
});

export const VAULT_SUBJECTS = {
  begin_upload: 'cmd.vault.begin_upload',
  record: 'cmd.vault.record',
  get: 'qry.vault.get',
  open: 'qry.vault.open',
  list: 'qry.vault.list',
} as const;
