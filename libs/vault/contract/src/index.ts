import {
  artifact_id,
  asked,
  digest,
  firstVersion,
  idOf,
  instant,
  mission_id,
  pageQuery,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { attempt, task_id } from '@nexusmon/worker-contract';
import { z } from 'zod';

export const ARTIFACT_BYTES_MAX = 5 * 1024 * 1024 * 1024;
export const artifact_kind = z.enum(['output', 'log', 'snapshot', 'review', 'document']).meta({ id: 'ArtifactKind' });
/** A range of a larger blob is checked by pieces of this size, which have digests of their own. */
export const PIECE_BYTES = 4 * 1024 * 1024;
/** Bytes from outside travel in parts of this size. What ends within the first of them is put as one piece. */
export const UPLOAD_PART_BYTES = 8 * 1024 * 1024;
/** The most parts that an upload to the store can have. */
const UPLOAD_PARTS_MAX = 10_000;
export const INPUTS_MAX = 1_000;
/** How far a lineage is followed each way, and how many artifacts it shows, at most. */
export const LINEAGE_DEPTH_MAX = 32;
export const LINEAGE_NODES_MAX = 500;
/** `<mission_id>/<task_id>/<file>` unless the plan names it. No empty, `.` or `..` parts. */
export const artifact_name = z
  .string()
  .min(1)
  .max(512)
  .regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[\p{L}\p{N} ._@+=,()[\]/-]+$/u, 'not an artifact name');

/** What one artifact was made from, each named once. */
export const artifact_inputs = z
  .array(artifact_id)
  .max(INPUTS_MAX)
  .refine((inputs) => new Set(inputs).size === inputs.length, 'an input is named twice');

/** What is uploaded leaves to missions what begins with their ids: it would stand in front of what their tasks made. */
export const upload_name = artifact_name.refine(
  (name) => !mission_id.safeParse(name.split('/', 1)[0]).success,
  'names that begin with the id of a mission are for what its tasks make',
);

const producer = { mission_id, task_id, attempt, worker: z.string() };

/** What became of bytes that were recorded: gone from the store, or others. */
export const damage = z.enum(['lost', 'changed']).meta({ id: 'Damage' });
export type Damage = z.infer<typeof damage>;
/** Which version of a series an event is about. */
const version_of_series = { artifact_id, name: artifact_name, version: z.int().min(1), sha256: digest };
/** What was found instead of the recorded bytes, where something was. */
const found_instead = { found_sha256: digest.optional(), found_size: z.int().min(0).optional() };
const reason = text(1, 4_000);

const recorded = {
  artifact_id,
  name: artifact_name,
  version: z.int().min(1),
  sha256: digest,
  size: z.int().min(0),
  media_type: z.string().max(256),
  kind: artifact_kind,
};

/** One immutable version of a named series. The blob lay under its SHA-256, verified, before this was written. */
export const artifactEvents = {
  ArtifactRecorded: firstVersion(z.strictObject({ ...recorded, ...producer, inputs: z.array(artifact_id) })),
  /** As above, of bytes that were brought from outside: their producer is the actor. */
  ArtifactUploaded: firstVersion(z.strictObject({ ...recorded, inputs: z.array(artifact_id) })),
  /** The bytes go with it, once no other artifact has them. */
  ArtifactDeleted: firstVersion(z.strictObject({ ...version_of_series, reason: sealed(reason) })),
  /** A check found that the stored bytes are not there, or others. */
  ArtifactDamaged: firstVersion(z.strictObject({ ...version_of_series, damage, ...found_instead })),
  /** A later check found the recorded bytes again. */
  ArtifactMended: firstVersion(z.strictObject(version_of_series)),
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
    mission_id: mission_id.optional().describe('Of what a task made: its mission, task, attempt and worker.'),
    task_id: task_id.optional(),
    attempt: attempt.optional(),
    worker: z.string().optional(),
    uploaded_by: z.string().optional().describe('Of what was uploaded: who did it.'),
    inputs: z.array(artifact_id),
    created_at: instant,
    deleted_at: instant.optional().describe('The bytes are gone for good.'),
    deleted_by: z.string().optional(),
    deleted_reason: z.string().optional(),
    damage: damage.optional().describe('What the last check found wrong with the stored bytes.'),
    damaged_at: instant.optional(),
    links: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Artifact' });
export type ArtifactDocument = z.infer<typeof artifactDocument>;

/**
 * Where a blob of this digest may be put: a URL for one PUT of exactly `size` bytes; none when it is there already.
 * What is recorded as an artifact, and is removed with the last that has it, lies apart from what only events name.
 */
export const beginUpload = z.strictObject({
  sha256: digest,
  size: z.int().min(0).max(ARTIFACT_BYTES_MAX),
  space: z.enum(['blobs', 'enclosures']).default('blobs'),
});
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
  inputs: artifact_inputs,
});
export type RecordArtifact = z.infer<typeof recordArtifact>;

/** Opens a place for bytes whose digest will be known with the last of them. `store_id` is the store's own name. */
export const stageUpload = z.strictObject({ inputs: artifact_inputs });
export const stagedUpload = z.strictObject({ upload_id: idOf('upl'), store_id: z.string().min(1).max(1_024) });
export type StagedUpload = z.infer<typeof stagedUpload>;
/** A URL for one PUT of one part; all but the last have `UPLOAD_PART_BYTES`. */
export const stagePart = z.strictObject({ ...stagedUpload.shape, part: z.int().min(1).max(UPLOAD_PARTS_MAX) });
export const stagedPart = z.strictObject({ url: z.string() });
/** Gives it up. What was staged goes. */
export const unstageUpload = stagedUpload;
/**
 * Records bytes from outside as the next version of a name. They have been put under their digest, or they are staged:
 * `etags` is then what the store said to each part. The same request may be sent again while it is being carried out.
 */
export const recordUpload = z.strictObject({
  asked,
  name: upload_name,
  sha256: digest,
  size: z.int().min(0),
  media_type: z.string().max(256),
  inputs: artifact_inputs,
  staged: z
    .strictObject({ ...stagedUpload.shape, etags: z.array(z.string().max(256)).min(1).max(UPLOAD_PARTS_MAX) })
    .optional(),
});
export type RecordUpload = z.infer<typeof recordUpload>;
export const deleteBody = z.strictObject({ reason }).meta({ id: 'DeleteArtifact' });
/** `key_id`: whose words the reason is. A series has the key of who first deleted something of it. */
export const deleteArtifact = z.strictObject({ asked, artifact_id, ...deleteBody.shape, key_id: z.string() });
export type DeleteArtifact = z.infer<typeof deleteArtifact>;
/** Reads the stored bytes now. */
export const checkArtifact = z.strictObject({ asked, artifact_id });
export const checkResult = z.enum(['match', 'mismatch', 'missing']).meta({ id: 'CheckResult' });
export const checkDocument = z
  .strictObject({ artifact_id, sha256: digest, size: z.int(), result: checkResult, ...found_instead })
  .meta({ id: 'ArtifactCheck' });
export type CheckDocument = z.infer<typeof checkDocument>;
export const getArtifact = z.strictObject({ artifact_id, min_position: z.string().optional() });
/** A short-lived URL for one GET of the blob; the reader checks the digest. */
export const openArtifact = z.strictObject({ artifact_id });
export const openedArtifact = z.strictObject({ artifact: artifactDocument, url: z.string() });
/** The digests of the pieces from the first to the last, both included, of a blob of more than one piece. */
export const askPieces = z.strictObject({ artifact_id, first: z.int().min(0), last: z.int().min(0) });
export const pieceDigests = z.strictObject({ sha256: z.array(digest) });
/** A short-lived URL for one GET of the enclosure with this digest; the reader checks it. */
export const openBlob = z.strictObject({ sha256: digest });
export const openedBlob = z.strictObject({ url: z.string() });
export const listArtifacts = z.strictObject({
  ...pageQuery,
  mission_id: mission_id.optional(),
  task_id: task_id.optional(),
  name: z.string().max(512).optional(),
  kind: artifact_kind.optional(),
  latest: z
    .boolean()
    .optional()
    .describe('Only the newest version of each name that is not deleted; with mission_id: of those of the mission.'),
  deleted: z.boolean().optional(),
  damaged: z.boolean().optional(),
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
  stage: 'cmd.vault.stage',
  stage_part: 'cmd.vault.stage_part',
  unstage: 'cmd.vault.unstage',
  upload: 'cmd.vault.upload',
  delete: 'cmd.vault.delete',
  check: 'cmd.vault.check',
  get: 'qry.vault.get',
  open: 'qry.vault.open',
  pieces: 'qry.vault.pieces',
  open_blob: 'qry.vault.open_blob',
  list: 'qry.vault.list',
  versions: 'qry.vault.versions',
  lineage: 'qry.vault.lineage',
} as const;
