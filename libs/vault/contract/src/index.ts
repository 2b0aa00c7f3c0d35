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
/** A range of a larger blob is checked by pieces of this size, which have digests of their own. */
export const PIECE_BYTES = 4 * 1024 * 1024;
/** How far a lineage is followed each way, and how many artifacts it shows, at most. */
export const LINEAGE_DEPTH_MAX = 32;
export const LINEAGE_NODES_MAX = 500;
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
/** The digests of the pieces from the first to the last, both included, of a blob of more than one piece. */
export const askPieces = z.strictObject({ artifact_id, first: z.int().min(0), last: z.int().min(0) });
export const pieceDigests = z.strictObject({ sha256: z.array(digest) });
/** A short-lived URL for one GET of the bytes under this digest, recorded or not; the reader checks them. */
export const openBlob = z.strictObject({ sha256: digest });
export const openedBlob = z.strictObject({ url: z.string() });
export const listArtifacts = z.strictObject({
  ...pageQuery,
  mission_id: mission_id.optional(),
  task_id: task_id.optional(),
  name: z.string().max(512).optional(),
  kind: artifact_kind.optional(),
  latest: z.boolean().optional().describe('Only the newest version of each name.'),
  min_position: z.string().optional(),
});
export const listVersions = z.strictObject({ artifact_id, ...pageQuery, min_position: z.string().optional() });

export const lineage_direction = z
  .enum(['both', 'inputs', 'derived'])
  .meta({ id: 'LineageDirection', description: 'inputs: what it was made from; derived: what was made from it.' });
export const askLineage = z.strictObject({
  artifact_id,
  direction: lineage_direction.default('both'),
  depth: z.int().min(1).max(LINEAGE_DEPTH_MAX).default(8),
  limit: z.int().min(1).max(LINEAGE_NODES_MAX).default(200).describe('Artifacts shown at most, itself included.'),
  min_position: z.string().optional(),
});
const lineageNode = z
  .strictObject({
    artifact: artifactDocument,
    distance: z.int().describe('Steps from the artifact asked about: below 0 what it was made from.'),
    more: z.boolean().describe('It has neighbours on its side that are not shown: ask for its own lineage.'),
  })
  .meta({ id: 'LineageNode' });
export const lineageDocument = z
  .strictObject({
    artifact_id,
    nodes: z.array(lineageNode).describe('Each artifact once, the nearest first; every one names its producer.'),
    edges: z
      .array(z.strictObject({ input_id: artifact_id, artifact_id }))
      .describe('artifact_id was made from input_id.'),
    truncated: z.boolean(),
  })
  .meta({ id: 'Lineage' });
export type LineageDocument = z.infer<typeof lineageDocument>;
export type LineageNode = z.infer<typeof lineageNode>;

export const VAULT_SUBJECTS = {
  begin_upload: 'cmd.vault.begin_upload',
  record: 'cmd.vault.record',
  get: 'qry.vault.get',
  open: 'qry.vault.open',
  pieces: 'qry.vault.pieces',
  open_blob: 'qry.vault.open_blob',
  list: 'qry.vault.list',
  versions: 'qry.vault.versions',
  lineage: 'qry.vault.lineage',
} as const;
