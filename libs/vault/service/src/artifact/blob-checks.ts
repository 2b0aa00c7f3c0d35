// Checks of blobs: asked for, and by and by of all of them
//
//   C1. A check reads the stored bytes. What it finds is noted of every artifact that has them, once when damage begins
//       and once when it ends.
//   C2. A store that is away is no damage. In the background damage counts only when a second reading finds it too.
//   C3. The background reads slowly and begins somewhere else after each start, so that restarts leave nothing out.
//   C4. Who asks for a check of bytes that are being checked gets what is found there. A few are read at once, and some
//       more wait their turn.

import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BlobStore, type Verification } from '@nexusmon/artifacts';
import { EventLog, newId, type Position } from '@nexusmon/event-log';
import { Unavailable } from '@nexusmon/messaging';
import { Projections } from '@nexusmon/projections';
import { Logger, traceparent } from '@nexusmon/telemetry';
import type { ArtifactDocument, CheckDocument } from '@nexusmon/vault-contract';
import { ArtifactList } from './artifact-list.js';
import { artifactAggregate } from './artifact.aggregate.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';
import { seriesOf } from './series-id.js';

const BEGIN_AFTER_MS = 60_000;
/** Between two blobs, and before a blob that could not be read is tried again. */
const REST_MS = 1_000;
/** After the last blob, or when there is none. */
const ROUND_REST_MS = 60_000;
const BYTES_PER_SECOND = 4 * 1024 * 1024;
const VAULT = 'service:vault';
/** Checks that were asked for: those that read, and those that wait for them. */
const READING_MAX = 2;
const WAITING_MAX = 64;

export type Found = Pick<CheckDocument, 'result' | 'found_sha256' | 'found_size'>;
type Blob = Pick<ArtifactDocument, 'sha256' | 'size'>;

const foundBy = (verification: Verification): Found => {
  if (verification.kind === 'verified') return { result: 'match' };
  if (verification.kind === 'absent') return { result: 'missing' };
  return { result: 'mismatch', found_sha256: verification.sha256, found_size: verification.size };
};

export type ChecksState = Readonly<{
  /** Undamaged or not, since the start of the process. */
  checked: number;
  rounds: number;
  /** Artifacts whose bytes are known to be lost or changed. */
  damaged: number | undefined;
}>;

@Injectable()
export class BlobChecks {
  private readonly ended = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private cursor = randomBytes(32).toString('hex');
  private checked = 0;
  private rounds = 0;
  private damaged: number | undefined;
  private readonly asked = new Map<string, Promise<Found>>();
  private readonly turns: (() => void)[] = [];
  private reading = 0;

  constructor(
    private readonly log: EventLog,
    private readonly blobs: BlobStore,
    private readonly list: ArtifactList,
    private readonly projections: Projections,
    private readonly logger: Logger,
  ) {}

  get state(): ChecksState {
    return { checked: this.checked, rounds: this.rounds, damaged: this.damaged };
  }

  start(): void {
    this.later(BEGIN_AFTER_MS);
  }

  /** Nothing rests on where it was. */
  close(): void {
    this.ended.abort();
    clearTimeout(this.timer);
  }

  /** As soon and as fast as it goes (C4). */
  check(blob: Blob, actor: string): Promise<Found> {
    const { sha256 } = blob;
    const asked = this.asked.get(sha256) ?? this.inTurn(blob, actor).finally(() => this.asked.delete(sha256));
    this.asked.set(sha256, asked);
    return asked;
  }

  /** The next blob; false when there is none behind the last. */
  async checkNext(bytes_per_second = BYTES_PER_SECOND): Promise<boolean> {
    const blob = await this.list.blobAfter(this.cursor);
    if (!blob) {
      this.cursor = '';
      return false;
    }
    const look = async () => foundBy(await this.blobs.verify(blob.sha256, blob.size, { bytes_per_second }));
    const first = await look();
    const found = first.result === 'match' ? first : await look();
    await this.note(blob, found, VAULT);
    this.cursor = blob.sha256;
    this.checked += 1;
    return true;
  }

  async recount(): Promise<void> {
    this.damaged = await this.list.countDamaged();
  }

  private async inTurn(blob: Blob, actor: string): Promise<Found> {
    if (this.turns.length >= WAITING_MAX) throw new Unavailable('vault', `${WAITING_MAX} checks are waiting`);
    if (this.reading >= READING_MAX) await new Promise<void>((turn) => this.turns.push(turn));
    else this.reading += 1;
    try {
      const found = foundBy(await this.blobs.verify(blob.sha256, blob.size));
      await this.note(blob, found, actor);
      return found;
    } finally {
      // Whoever is next takes the place over.
      const next = this.turns.shift();
      if (next) next();
      else this.reading -= 1;
    }
  }

  private later(ms: number): void {
    if (this.ended.signal.aborted) return;
    this.timer = setTimeout(() => void this.goOn(), ms);
    this.timer.unref();
  }

  private async goOn(): Promise<void> {
    let rest_ms = REST_MS;
    try {
      await this.recount();
      if (!(await this.checkNext())) {
        this.rounds += 1;
        rest_ms = ROUND_REST_MS;
      }
    } catch (error) {
      if (!this.ended.signal.aborted) this.logger.warn({ msg: 'a blob could not be checked, will try again', error });
    }
    this.later(rest_ms);
  }

  private async note({ sha256 }: Blob, found: Found, actor: string): Promise<void> {
    // Only those of which it is news.
    const damaged = found.result === 'match';
    let noted: Position | undefined;
    for (let after = ''; ;) {
      const artifacts = await this.list.withBytes(sha256, { damaged, after });
      for (const artifact of artifacts) noted = await this.noteOne(artifact, found, actor);
      const last = artifacts.at(-1);
      if (!last) break;
      after = last.artifact_id;
    }
    if (noted === undefined) return;
    this.logger.warn({ msg: 'what is stored of a blob is other than it was', sha256, ...found });
    await this.projections.waitFor(ARTIFACT_PROJECTION, noted);
    await this.recount();
  }

  private async noteOne(artifact: ArtifactDocument, found: Found, actor: string): Promise<Position> {
    const { artifact_id, name, version, sha256, mission_id } = artifact;
    const outcome = await this.log.execute(artifactAggregate, seriesOf(name), {
      command_id: newId('cmd'),
      correlation_id: mission_id ?? seriesOf(name),
      traceparent: traceparent(),
      command: { type: 'NoteCheck', actor, data: { artifact_id, name, version, sha256, ...found } },
    });
    if (outcome.kind === 'rejected') throw new Error(`the check of ${artifact_id}: ${outcome.rejection.code}`);
    return outcome.position;
  }
}
