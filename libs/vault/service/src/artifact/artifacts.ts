// Artifacts
//
//   V1. The vault believes no digest: stored bytes are read and hashed before they are called present, and again before
//       they are recorded.
//   V2. A record is answered once it can be listed, so that whoever was told of an artifact can also find it.
//   V3. The id of an artifact follows from the command that recorded it: a repeat names the same artifact.
//   V4. What an artifact was made from is recorded before it.
//   V5. Whoever was told that an artifact is recorded can read it: a removal of the same bytes does not come between.
//   V6. Nothing of a mission that has not ended is deleted: it may still be read. Nothing of a mission whose rank is
//       above the ceiling of whoever asks is deleted at all.

import { Injectable } from '@nestjs/common';
import { BlobStore } from '@nexusmon/artifacts';
import { EventLog, keyedId, type KeyReused } from '@nexusmon/event-log';
import { Unavailable } from '@nexusmon/messaging';
import { Projections } from '@nexusmon/projections';
import { answered, RANKS, type Asked, type Refusal, type Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import {
  PIECE_BYTES,
  type ArtifactDocument,
  type askPieces,
  type beginUpload,
  type checkArtifact,
  type CheckDocument,
  type DeleteArtifact,
  type openedArtifact,
  type openedBlob,
  type pieceDigests,
  type RecordArtifact,
  type uploadTarget,
} from '@nexusmon/vault-contract';
import { recordedAlready, type ArtifactRejection } from '@nexusmon/vault-domain';
import type { z } from 'zod';
import { ArtifactList, type ListedArtifact } from './artifact-list.js';
import { artifactAggregate } from './artifact.aggregate.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';
import { BlobArrivals } from './blob-arrivals.js';
import { BlobChecks } from './blob-checks.js';
import { BlobPieces } from './blob-pieces.js';
import { BlobRemoval } from './blob-removal.js';
import { EnclosureStore } from './enclosure-store.js';
import { MissionStanding, type Standing } from './mission-standing.js';
import { seriesOf } from './series-id.js';

/** A projection runs some tens of milliseconds behind; one that is this late is not running. */
const LISTED_WITHIN_MS = 20_000;

const DETAILS: Record<(ArtifactRejection | KeyReused)['code'], string> = {
  'another-series': 'there is another artifact of this id',
  'version-unknown': 'there is no such version',
  'idempotency-key-reused': 'this Idempotency-Key stands for another request',
};

type Done<Body> = Extract<Reply<Body>, { kind: 'done' }>;
export type Refused = Extract<Reply<never>, { kind: 'refused' }>;

export const refused = (code: string, detail: string, facts?: Refusal['facts']): Refused => ({
  kind: 'refused',
  refusal: { code, detail, ...(facts ? { facts } : {}) },
});

export const rejected = (code: keyof typeof DETAILS): Refused => refused(code, DETAILS[code]);

@Injectable()
export class Artifacts {
  constructor(
    private readonly log: EventLog,
    private readonly blobs: BlobStore,
    private readonly pieces: BlobPieces,
    private readonly list: ArtifactList,
    private readonly projections: Projections,
    private readonly enclosures: EnclosureStore,
    private readonly removal: BlobRemoval,
    private readonly checks: BlobChecks,
    private readonly missions: MissionStanding,
    private readonly arrivals: BlobArrivals,
  ) {}

  /** Wrong bytes under the right key are as good as none: they may be put again. */
  async beginUpload({
    sha256,
    size,
    space,
  }: z.infer<typeof beginUpload>): Promise<Reply<z.infer<typeof uploadTarget>>> {
    const store = space === 'blobs' ? this.blobs : this.enclosures;
    const stored = await store.verify(sha256, size);
    if (stored.kind === 'verified') return answered({ present: true });
    // Enclosures are named by events that their writer has yet to write: the vault cannot tell which are wanted.
    if (space === 'blobs') await this.arrivals.note(sha256);
    return answered({ present: false, url: await store.putUrl(sha256) });
  }

  async record({ asked, ...request }: RecordArtifact): Promise<Reply<ArtifactDocument>> {
    const { name, mission_id, inputs, sha256 } = request;
    const unknown = await this.unknownOf(inputs);
    if (unknown) return unknown;
    const stored = await this.pieces.verify(request);
    if (stored.kind === 'absent') return refused('blob-absent', 'no bytes of this digest have been put');
    if (stored.kind === 'differs') {
      const { sha256: stored_sha256, size: stored_size } = stored;
      return refused('blob-differs', 'the stored bytes are not what they should be', { stored_sha256, stored_size });
    }
    const { actor, command_id, request_digest } = asked;
    const artifact_id = keyedId('art', command_id);
    const outcome = await this.log.execute(artifactAggregate, seriesOf(name), {
      command_id,
      request_digest,
      correlation_id: mission_id,
      traceparent: traceparent(),
      command: { type: 'RecordArtifact', actor, data: { artifact_id, ...request } },
    });
    if (outcome.kind === 'rejected') return rejected(outcome.rejection.code);
    const standing = recordedAlready(outcome.state, request)?.artifact_id ?? artifact_id;
    const listed = await this.listed(standing, outcome.position, outcome.kind === 'accepted');
    if (listed.body.deleted_at === undefined)
      return (await this.removal.isKept(sha256)) ? listed : refused('blob-absent', 'the bytes have just been removed');
    // A repeat of what was deleted meanwhile. The bytes that came with it must not stay.
    await this.removal.remove(sha256);
    return listed;
  }

  async delete({ asked, artifact_id, reason, key_id }: DeleteArtifact): Promise<Reply<ArtifactDocument>> {
    const found = await this.list.get(artifact_id);
    if (!found) return notFound;
    const { name, version, sha256, mission_id, deleted_at } = found.document;
    // What was uploaded belongs to no mission.
    if (deleted_at === undefined && mission_id !== undefined) {
      const mission = await this.missions.of(mission_id);
      const wrong = mission && cannotBeDeleted(asked, mission_id, mission);
      if (wrong) return wrong;
    }
    const { actor, command_id, request_digest } = asked;
    const outcome = await this.log.execute(
      artifactAggregate,
      seriesOf(name),
      {
        ...{ command_id, request_digest, correlation_id: mission_id ?? seriesOf(name), traceparent: traceparent() },
        command: { type: 'DeleteArtifact', actor, data: { artifact_id, name, version, sha256, reason } },
      },
      { key_id },
    );
    if (outcome.kind === 'rejected') return rejected(outcome.rejection.code);
    const listed = await this.listed(artifact_id, outcome.position, outcome.kind === 'accepted');
    if (found.document.damage !== undefined) await this.checks.recount();
    return listed;
  }

  async check({ asked, artifact_id }: z.infer<typeof checkArtifact>): Promise<Reply<CheckDocument>> {
    const found = await this.kept(artifact_id);
    if ('kind' in found) return found;
    const { sha256, size } = found.document;
    const result = await this.checks.check({ sha256, size }, asked.actor);
    return answered({ artifact_id, sha256, size, ...result });
  }

  async open(artifact_id: string): Promise<Reply<z.infer<typeof openedArtifact>>> {
    const found = await this.kept(artifact_id);
    if ('kind' in found) return found;
    const { document: artifact, position } = found;
    return {
      kind: 'done',
      changed: false,
      position,
      body: { artifact, url: await this.blobs.getUrl(artifact.sha256) },
    };
  }

  /** For whoever names a blob in events of their own. Nothing is looked up: a URL to an absent blob answers 404. */
  async openBlob(sha256: string): Promise<Reply<z.infer<typeof openedBlob>>> {
    return answered({ url: await this.enclosures.getUrl(sha256) });
  }

  /** What the bytes of some pieces must be. */
  async piecesOf({
    artifact_id,
    first,
    last,
  }: z.infer<typeof askPieces>): Promise<Reply<z.infer<typeof pieceDigests>>> {
    const found = await this.kept(artifact_id);
    if ('kind' in found) return found;
    const { document: artifact, position } = found;
    if (first > last || last >= Math.ceil(artifact.size / PIECE_BYTES))
      return refused('invalid', `${artifact_id} has no pieces ${first} to ${last}`);
    const digests = await this.pieces.digestsOf(artifact, first, last);
    if ('kind' in digests) return unreadable(artifact_id, digests.kind);
    return { kind: 'done', changed: false, position, body: { sha256: [...digests] } };
  }

  /** The first of these that is no artifact (V4); undefined when all are. */
  async unknownOf(inputs: readonly string[]): Promise<Refused | undefined> {
    const known = new Set((await this.list.having(inputs)).map(({ artifact_id }) => artifact_id));
    const unknown = inputs.find((input_id) => !known.has(input_id));
    return unknown === undefined ? undefined : refused('input-unknown', `there is no artifact ${unknown}`);
  }

  /** An artifact whose bytes should be there. */
  private async kept(artifact_id: string): Promise<ListedArtifact | Refused> {
    const found = await this.list.get(artifact_id);
    if (!found) return notFound;
    const { deleted_at, deleted_reason } = found.document;
    if (deleted_at === undefined) return found;
    return refused('artifact-deleted', `${artifact_id} was deleted: ${deleted_reason ?? ''}`, { deleted_at });
  }

  /** V2: by the projection, not by the decision. */
  async listed(artifact_id: string, position: string, changed: boolean): Promise<Done<ArtifactDocument>> {
    await this.projections.waitFor(ARTIFACT_PROJECTION, position, LISTED_WITHIN_MS);
    const found = await this.list.get(artifact_id);
    // It is recorded. Asked again once the view has caught up, the same command says so.
    if (!found) throw new Unavailable('vault', `the list of artifacts has not reached ${position}`);
    return { kind: 'done', changed, position, body: found.document };
  }
}

/** V6 */
const cannotBeDeleted = (
  { rank_ceiling }: Asked,
  mission_id: string,
  { ended, status, effective_rank }: Standing,
): Refused | undefined => {
  if (rank_ceiling !== undefined && RANKS.indexOf(effective_rank) > RANKS.indexOf(rank_ceiling))
    return refused('rank-above-ceiling', `mission ${mission_id} has rank ${effective_rank}, above ${rank_ceiling}`, {
      ...{ effective_rank, rank_ceiling },
    });
  if (ended) return undefined;
  return refused('mission-running', `mission ${mission_id} has not ended and may read it`, { status });
};

/** The bytes of a recorded artifact that are not there, or are others: no later attempt is better. */
const unreadable = (artifact_id: string, kind: 'absent' | 'differs'): Reply<never> =>
  kind === 'absent'
    ? refused('artifact-lost', `the bytes of ${artifact_id} are no longer in the store`)
    : refused('artifact-corrupt', `the bytes stored for ${artifact_id} do not have the recorded SHA-256`);

export const notFound = refused('artifact-not-found', 'there is no such artifact');
