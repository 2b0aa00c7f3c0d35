// Uploads
//
//   U1. Nothing is recorded before the vault has read its bytes under their digest, whoever has counted them before.
//   U2. What was staged stays until its record stands or is refused: what comes between is answered by another copy.
//   U3. The same request sent again while it is being carried out gets the answer of the first: whoever waits may ask
//       again, rather than wait for minutes.
//   U4. A key names one upload for good. Another one with the same key is refused, of another name too.
//   U5. What nobody brings to an end is removed, whoever has crashed: what is staged, and what lies under its digest
//       without a record. What is being recorded stays staged.

import { Injectable } from '@nestjs/common';
import { StagingStore, StoreFull, UploadLost, type Verification } from '@nexusmon/artifacts';
import { Config } from '@nexusmon/config';
import { encodePosition, EventLog, isKeyed, keyedId, newId } from '@nexusmon/event-log';
import { Projections } from '@nexusmon/projections';
import { answered, type Reply } from '@nexusmon/shared-contract';
import { Logger, traceparent } from '@nexusmon/telemetry';
import type {
  ArtifactDocument,
  RecordUpload,
  stagedPart,
  StagedUpload,
  stagePart,
  stageUpload,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ArtifactList } from './artifact-list.js';
import { artifactAggregate } from './artifact.aggregate.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';
import { Artifacts, refused, rejected, type Refused } from './artifacts.js';
import { BlobArrivals } from './blob-arrivals.js';
import { BlobPieces } from './blob-pieces.js';
import { BlobRemoval } from './blob-removal.js';
import { seriesOf } from './series-id.js';

/** A removal of the same bytes may come between as often as somebody deletes them. */
const COPIES_MAX = 5;
const SWEEP_SECONDS_MAX = 600;
const MS_PER_SECOND = 1_000;

const storeFull = refused('store-full', 'the object storage has no room for these bytes');

@Injectable()
export class Uploads {
  private readonly recording = new Map<string, Promise<Reply<ArtifactDocument>>>();
  /** Uploads that are being recorded, by their ids. */
  private readonly wanted = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  constructor(
    private readonly log: EventLog,
    private readonly staging: StagingStore,
    private readonly pieces: BlobPieces,
    private readonly list: ArtifactList,
    private readonly artifacts: Artifacts,
    private readonly removal: BlobRemoval,
    private readonly arrivals: BlobArrivals,
    private readonly projections: Projections,
    private readonly config: Config,
    private readonly logger: Logger,
  ) {}

  start(): void {
    const { staged_seconds_max } = this.config.uploads;
    this.later(Math.min(staged_seconds_max, SWEEP_SECONDS_MAX) * MS_PER_SECOND);
  }

  close(): void {
    this.ended = true;
    clearTimeout(this.timer);
  }

  async stage({ inputs }: z.infer<typeof stageUpload>): Promise<Reply<StagedUpload>> {
    const unknown = await this.artifacts.unknownOf(inputs);
    if (unknown) return unknown;
    return this.orFull(async () => answered(await this.staging.begin(newId('upl'))));
  }

  async part({ part, ...staged }: z.infer<typeof stagePart>): Promise<Reply<z.infer<typeof stagedPart>>> {
    return answered({ url: await this.staging.partUrl(staged, part) });
  }

  async unstage(staged: StagedUpload): Promise<Reply<object>> {
    // What is being recorded already is brought to its end.
    if (!this.wanted.has(staged.upload_id)) await this.staging.discard(staged);
    return answered({});
  }

  /** U3 */
  record(request: RecordUpload): Promise<Reply<ArtifactDocument>> {
    const { asked, sha256, staged } = request;
    const name = JSON.stringify([asked.command_id, asked.request_digest, sha256, staged?.upload_id]);
    const recording = this.recording.get(name) ?? this.recordNow(request).finally(() => this.recording.delete(name));
    this.recording.set(name, recording);
    return recording;
  }

  /** Once over all uploads that were ever staged (U5). */
  async sweep(seconds = this.config.uploads.staged_seconds_max): Promise<void> {
    const { discarded, failed } = await this.staging.sweep(seconds, (upload_id) => this.wanted.has(upload_id));
    if (discarded.length > 0) this.logger.info({ msg: 'uploads that were cut off have been removed', discarded });
    for (const [upload_id, error] of failed)
      this.logger.warn({ msg: 'an upload that was cut off could not be removed, will try again', upload_id, error });
    await this.arrivals.sweep(seconds);
  }

  private async recordNow(request: RecordUpload): Promise<Reply<ArtifactDocument>> {
    const { staged, sha256 } = request;
    if (staged) this.wanted.add(staged.upload_id);
    try {
      const reply = await this.orFull(() => this.decide(request));
      // A refusal leaves nothing behind, neither what was staged nor what has come to lie under a digest.
      if (reply.kind === 'refused') await this.removal.remove(sha256);
      if (staged) await this.staging.discard(staged);
      return reply;
    } finally {
      if (staged) this.wanted.delete(staged.upload_id);
    }
  }

  private async decide(request: RecordUpload): Promise<Reply<ArtifactDocument>> {
    const { name, inputs, sha256 } = request;
    const earlier = await this.earlierOf(request);
    if (earlier && earlier.name !== name) return rejected('idempotency-key-reused');
    const unknown = await this.artifacts.unknownOf(inputs);
    if (unknown) return unknown;
    // What stands already needs no bytes, unless they turn out to be missing.
    for (let copies = earlier ? 0 : 1; ; copies += 1) {
      const missing = copies === 0 ? undefined : await this.bytesOf(request);
      if (missing) return missing;
      const reply = await this.append(request);
      if (reply.kind !== 'done') return reply;
      if (reply.body.deleted_at !== undefined) {
        // A repeat of what was deleted meanwhile. The bytes that came with it must not stay.
        await this.removal.remove(sha256);
        return reply;
      }
      if (await this.removal.isKept(sha256)) return reply;
      if (copies === COPIES_MAX || !request.staged) return refused('blob-absent', 'the bytes have just been removed');
    }
  }

  /** What the same command has recorded already, as far as the log has come by now (U4). */
  private async earlierOf({ asked: { command_id } }: RecordUpload): Promise<ArtifactDocument | undefined> {
    if (!isKeyed(command_id)) return undefined;
    await this.projections.waitFor(ARTIFACT_PROJECTION, encodePosition(await this.log.lastOfKind(artifactAggregate)));
    return this.list.uploadedBy(command_id);
  }

  /** Why the bytes do not lie under their digest; undefined when they do, read and hashed (U1). */
  private async bytesOf({ sha256, size, staged }: RecordUpload): Promise<Refused | undefined> {
    const blob = { sha256, size };
    if (!staged) return fault(await this.pieces.verify(blob));
    try {
      await this.staging.join(staged, staged.etags, size);
      if ((await this.pieces.verify(blob)).kind === 'verified') return undefined;
      await this.arrivals.note(sha256);
      await this.staging.copy(staged, sha256, size);
    } catch (error) {
      if (error instanceof UploadLost) return refused('upload-lost', 'the upload stood still for too long');
      throw error;
    }
    return fault(await this.pieces.verify(blob));
  }

  private async append(request: RecordUpload): Promise<Reply<ArtifactDocument>> {
    const { asked, name, staged: _staged, ...rest } = request;
    const { actor, command_id, request_digest } = asked;
    // With its name: should two uploads of one key and two names be under way at once, they are two artifacts.
    const artifact_id = keyedId('art', command_id, name);
    const data = { artifact_id, name, kind: 'document' as const, ...rest };
    const outcome = await this.log.execute(artifactAggregate, seriesOf(name), {
      ...{ command_id, request_digest, correlation_id: seriesOf(name), traceparent: traceparent() },
      command: { type: 'RecordUpload', actor, data },
    });
    if (outcome.kind === 'rejected') return rejected(outcome.rejection.code);
    return this.artifacts.listed(artifact_id, outcome.position, outcome.kind === 'accepted');
  }

  private async orFull<Body>(work: () => Promise<Reply<Body>>): Promise<Reply<Body>> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StoreFull) return storeFull;
      throw error;
    }
  }

  private later(ms: number): void {
    if (this.ended) return;
    this.timer = setTimeout(() => void this.goOn(ms), ms);
    this.timer.unref();
  }

  private async goOn(ms: number): Promise<void> {
    try {
      await this.sweep();
    } catch (error) {
      if (!this.ended) this.logger.warn({ msg: 'uploads could not be looked through, will try again', error });
    }
    this.later(ms);
  }
}

const fault = (found: Verification): Refused | undefined => {
  if (found.kind === 'verified') return undefined;
  if (found.kind === 'absent') return refused('blob-absent', 'no bytes of this digest have been put');
  const { sha256: stored_sha256, size: stored_size } = found;
  return refused('blob-differs', 'the stored bytes are not what they should be', { stored_sha256, stored_size });
};
