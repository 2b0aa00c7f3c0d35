// Uploads: from the bytes of a request to a record in the vault
//
//   U1. Two parts are in memory at a time, whatever the size: one that fills, and one that goes to the store. What is
//       small takes little.
//   U2. What ends within the first part goes to the store in one piece, under its digest. For more the vault opens a
//       place to put parts; the gateway has no right to the store but the URLs that it is given.
//   U3. Whatever ends an upload early takes with it what it has put.
//   U4. The vault or the store may be away for a moment: what was asked of them is asked again.

import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  UPLOAD_PART_BYTES,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type RecordUpload,
  type StagedUpload,
  type stagedPart,
  type uploadTarget,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { isProblem, problem, Problem, unavailable } from '../http/problem.js';
import type { Answer, Services } from '../http/services.js';
import { putBytes } from './put-bytes.js';

const TRIES = 10;
const TRY_AGAIN_MS = 1_000;
/** The vault says nothing until it has read all bytes. Asked again meanwhile it goes on with what it has begun. */
const RECORD_ASK_MS = 60_000;
const RECORD_MS_MIN = 60_000;
const RECORD_BYTES_PER_MS_MIN = 4 * 1024;
/** Bytes that somebody else removes between being put and being recorded are put again. */
const PUTS_MAX = 5;
/** What fills first grows by so much, up to a part. */
const FILLING_BYTES_MIN = 64 * 1024;
const GROWTH = 4;
/** The store does not have what it took. */
const NOT_KEPT = ['blob-absent', 'blob-differs', 'upload-lost'];

export type Recording = Omit<RecordUpload, 'sha256' | 'size' | 'staged'>;
/** Who asks and under which name, once the bytes are known. */
export type Named = (bytes: Readonly<{ sha256: string; size: number }>) => Recording;

/** Does it again while something that it needs is away (U4). */
const persist = async <Value>(work: () => Promise<Value>): Promise<Value> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || !isProblem(error, 'service-unavailable')) throw error;
      await pause(TRY_AGAIN_MS);
    }
  }
};

/** Parts on their way to the store, two in memory (U1). */
class Parts {
  private readonly etags: string[] = [];
  private place: StagedUpload | undefined;
  private sending: Promise<PromiseSettledResult<string>[]> | undefined;
  private spare: Buffer | undefined;

  constructor(
    private readonly services: Services,
    private readonly inputs: readonly string[],
  ) {}

  /** Takes a part that is full, and gives back one to fill. */
  async send(part: Buffer): Promise<Buffer> {
    await this.settled();
    const place = (this.place ??= await this.open());
    const number = this.etags.length + 1;
    this.sending = Promise.allSettled([persist(() => this.put(place, number, part))]);
    const next = this.spare ?? Buffer.allocUnsafeSlow(UPLOAD_PART_BYTES);
    this.spare = part;
    return next;
  }

  /** Where they all are; undefined when nothing was ever sent. */
  async staged(): Promise<RecordUpload['staged']> {
    await this.settled();
    return this.place && { ...this.place, etags: this.etags };
  }

  /** U3 */
  async abandon(): Promise<void> {
    await this.sending;
    try {
      if (this.place) await this.services.ask(VAULT_SUBJECTS.unstage, this.place);
    } catch (error) {
      // Then the vault takes it away when it looks for what stands still.
      if (!isProblem(error, 'service-unavailable')) throw error;
    }
  }

  private async open(): Promise<StagedUpload> {
    const request = { inputs: this.inputs };
    return (await persist(() => this.services.ask<StagedUpload>(VAULT_SUBJECTS.stage, request))).body;
  }

  private async put(place: StagedUpload, part: number, bytes: Buffer): Promise<string> {
    const request = { ...place, part };
    const { body } = await this.services.ask<z.infer<typeof stagedPart>>(VAULT_SUBJECTS.stage_part, request);
    return putBytes(body.url, bytes);
  }

  private async settled(): Promise<void> {
    for (const outcome of (await this.sending) ?? []) {
      if (outcome.status === 'rejected') throw outcome.reason;
      this.etags.push(outcome.value);
    }
    this.sending = undefined;
  }
}

const putWhole = async (services: Services, sha256: string, bytes: Buffer): Promise<void> => {
  const request = { sha256, size: bytes.length };
  const { body } = await services.ask<z.infer<typeof uploadTarget>>(VAULT_SUBJECTS.begin_upload, request);
  if (body.url !== undefined) await putBytes(body.url, bytes);
};

/** Waits as long as so many bytes may take, and asks again rather than hang on one answer. */
const record = async (services: Services, request: RecordUpload): Promise<Answer<ArtifactDocument>> => {
  const late_ms = performance.now() + RECORD_MS_MIN + request.size / RECORD_BYTES_PER_MS_MIN;
  for (let tries = 1; ;) {
    const asked_ms = performance.now();
    try {
      return await services.ask<ArtifactDocument>(VAULT_SUBJECTS.upload, request, { timeout_ms: RECORD_ASK_MS });
    } catch (error) {
      if (performance.now() > late_ms || !isProblem(error, 'service-unavailable')) throw error;
      if (performance.now() - asked_ms >= RECORD_ASK_MS) continue; // It is at work.
      if (tries === TRIES) throw error;
      tries += 1;
      await pause(TRY_AGAIN_MS);
    }
  }
};

const isNotKept = (error: unknown): error is Problem => error instanceof Problem && NOT_KEPT.includes(error.code);

const notKept = ({ code, details: { detail } }: Problem) =>
  code === 'upload-lost' ? problem(code, detail) : unavailable('vault-storage', detail);

const recordWhole = async (services: Services, request: RecordUpload, bytes: Buffer) => {
  for (let puts = 1; ; puts += 1) {
    await persist(() => putWhole(services, request.sha256, bytes));
    try {
      return await record(services, request);
    } catch (error) {
      if (!isNotKept(error)) throw error;
      if (puts === PUTS_MAX) throw notKept(error);
    }
  }
};

const recordParts = async (services: Services, request: RecordUpload) => {
  try {
    return await record(services, request);
  } catch (error) {
    throw isNotKept(error) ? notKept(error) : error;
  }
};

const grown = (part: Buffer): Buffer => {
  const larger = Buffer.allocUnsafeSlow(Math.min(part.length * GROWTH, UPLOAD_PART_BYTES));
  part.copy(larger);
  return larger;
};

/** Reads the bytes to their end, and records them. */
export const upload = async (
  services: Services,
  bytes: AsyncIterable<Buffer>,
  inputs: readonly string[],
  named: Named,
): Promise<Answer<ArtifactDocument>> => {
  const parts = new Parts(services, inputs);
  const digest = createHash('sha256');
  let [size, filled] = [0, 0];
  let part: Buffer = Buffer.allocUnsafeSlow(FILLING_BYTES_MIN);
  try {
    for await (const chunk of bytes) {
      digest.update(chunk);
      size += chunk.length;
      for (let rest = chunk; rest.length > 0;) {
        // Only once there is more: what ends here may be all there is.
        if (filled === UPLOAD_PART_BYTES) [filled, part] = [0, await parts.send(part)];
        else if (filled === part.length) part = grown(part);
        const copied = rest.copy(part, filled);
        filled += copied;
        rest = rest.subarray(copied);
      }
    }
    const sha256 = digest.digest('hex');
    const request = { ...named({ sha256, size }), sha256, size };
    const last = part.subarray(0, filled);
    if (size <= UPLOAD_PART_BYTES) return await recordWhole(services, request, last);
    await parts.send(last);
    const staged = await parts.staged();
    return await recordParts(services, { ...request, staged });
  } catch (error) {
    await parts.abandon();
    throw error;
  }
};
