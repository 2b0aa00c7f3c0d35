// Artifacts of an attempt: from a worker's bytes to a record in the vault, and back.
//
//   K1. The runner hashes the bytes itself; the vault hashes what it stored. They must agree before a record stands.
//   K2. While the vault or its storage is away the attempt waits: that is nobody's failure and uses no try. When its
//       time is up it is given back as `runner_lost`.
//       Bytes that were taken away between being put and being recorded (the last artifact that had them was deleted)
//       are put again.
//   K3. A repeat is harmless: the same bytes lie under the same digest, and the same record has the same id.
//   K4. A worker reads artifacts of its own mission only, and only bytes that have the recorded digest.

import { keyedId, sha256Hex } from '@nexusmon/event-log';
import { isDependent, type MessageClient } from '@nexusmon/messaging';
import type { Reply } from '@nexusmon/shared-contract';
import type { ArtifactRef } from '@nexusmon/worker-contract';
import {
  artifact_name,
  VAULT_SUBJECTS,
  type ArtifactDocument,
  type RecordArtifact,
  type uploadTarget,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { WorkerFault } from '../worker-plugin.js';
import { pauses, rest } from './away.js';

/** Bytes pass through the runner's memory: larger things would need to be streamed. */
export const ARTIFACT_IN_MEMORY_BYTES_MAX = 128 * 1024 * 1024;
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*$/;
const TRANSFER_TIMEOUT_MS = 60_000;
const RECORD_TIMEOUT_MS = 60_000;
const RUNNER = 'service:worker';
/** How the storage says that one key is missing, and not everything. */
const NO_SUCH_KEY = '<Code>NoSuchKey</Code>';

export type Producer = Readonly<{ mission_id: string; task_id: string; attempt: number; worker: string }>;
export type Kept = Readonly<{
  producer: Producer;
  file: string;
  media_type: string;
  kind: RecordArtifact['kind'];
  bytes: Uint8Array;
  /** Artifacts that this one was made from. */
  inputs: readonly string[];
}>;

/** The vault or its storage did not answer until the attempt's time was up. */
export class VaultAway extends Error {
  override readonly name = 'VaultAway';
}

/** The vault says this much at once. Who has had no word for so long when the time is up was kept waiting by it. */
const SILENT_MS_MAX = 1_000;

/** One step that may find the vault away. */
class Away extends Error {}

const done = <Body>(reply: Reply<Body>): Body => {
  if (reply.kind === 'done') return reply.body;
  if (reply.kind === 'unavailable') throw new Away(reply.unavailable.detail);
  if (reply.refusal.code === 'blob-absent') throw new Away(reply.refusal.detail);
  throw new WorkerFault(`the vault refused (${reply.refusal.code}): ${reply.refusal.detail}`, false);
};

/** The attempt was told to stop while nothing was amiss with the vault. */
export class KeepingStopped extends Error {
  override readonly name = 'KeepingStopped';
}

export class ArtifactKeeper {
  constructor(private readonly vault: Pick<MessageClient, 'request'>) {}

  async keep(kept: Kept, signal: AbortSignal): Promise<ArtifactRef> {
    const { producer, file, media_type, bytes } = kept;
    const name = `${producer.mission_id}/${producer.task_id}/${file}`;
    if (!artifact_name.safeParse(name).success)
      throw new WorkerFault(`${JSON.stringify(file)} cannot be the name of an artifact`, false);
    if (!MEDIA_TYPE.test(media_type)) throw new WorkerFault(`${JSON.stringify(media_type)} is not a media type`, false);
    if (bytes.byteLength > ARTIFACT_IN_MEMORY_BYTES_MAX)
      throw new WorkerFault(
        `an artifact may have ${ARTIFACT_IN_MEMORY_BYTES_MAX} bytes, not ${bytes.byteLength}`,
        false,
      );
    const sha256 = sha256Hex(bytes);
    return this.untilAnswered(signal, async () => {
      await this.upload(sha256, bytes, signal);
      const { artifact_id } = await this.record(kept, name, sha256, signal);
      return { artifact_id, name, sha256, size: bytes.byteLength, media_type };
    });
  }

  async read(artifact_id: string, mission_id: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return this.untilAnswered(signal, async () => {
      const opened = this.vault.request<{ artifact: ArtifactDocument; url: string }>(VAULT_SUBJECTS.open, {
        artifact_id,
      });
      const { artifact, url } = done(await whileWanted(opened, signal));
      if (artifact.mission_id !== mission_id)
        throw new WorkerFault(`${artifact_id} is an artifact of another mission`, false);
      if (artifact.size > ARTIFACT_IN_MEMORY_BYTES_MAX)
        throw new WorkerFault(`${artifact_id} has ${artifact.size} bytes: too many for this runner`, false);
      const bytes = await transfer('a download', url, {}, signal);
      if (bytes.byteLength !== artifact.size || sha256Hex(bytes) !== artifact.sha256)
        throw new WorkerFault(`the stored bytes of ${artifact_id} are not those that were recorded`, false);
      return bytes;
    });
  }

  private async upload(sha256: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const size = bytes.byteLength;
    const begun = this.vault.request<z.infer<typeof uploadTarget>>(VAULT_SUBJECTS.begin_upload, { sha256, size });
    const target = done(await whileWanted(begun, signal));
    if (target.present) return;
    if (target.url === undefined) throw new Error('the vault neither has the bytes nor says where to put them');
    await transfer('an upload', target.url, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> }, signal);
  }

  private async record(kept: Kept, name: string, sha256: string, signal: AbortSignal): Promise<ArtifactDocument> {
    const { producer, media_type, kind, bytes, inputs } = kept;
    const { mission_id, task_id, attempt } = producer;
    const command: RecordArtifact = {
      asked: { actor: RUNNER, command_id: keyedId('cmd', mission_id, task_id, String(attempt), name, sha256) },
      name,
      sha256,
      size: bytes.byteLength,
      media_type,
      kind,
      ...producer,
      inputs: [...inputs],
    };
    const options = { timeout_ms: RECORD_TIMEOUT_MS };
    return done(
      await whileWanted(this.vault.request<ArtifactDocument>(VAULT_SUBJECTS.record, command, options), signal),
    );
  }

  /** Tries again while the vault is away, until the attempt's time is up (K2). */
  private async untilAnswered<Answer>(signal: AbortSignal, work: () => Promise<Answer>): Promise<Answer> {
    const pause = pauses();
    for (let away = false; ; away = true) {
      if (signal.aborted) throw away ? new VaultAway('the vault was away') : new KeepingStopped('told to stop');
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Away || isDependent(error))) throw error;
        // What the signal itself cut short says nothing about the vault.
        if (signal.aborted && !away) throw new KeepingStopped('told to stop', { cause: error });
        await rest(pause(), signal);
      }
    }
  }
}

/** Waits for an answer of the vault until the attempt's time is up. */
const whileWanted = async <Body>(answer: Promise<Reply<Body>>, signal: AbortSignal): Promise<Reply<Body>> => {
  const asked_ms = performance.now();
  const over = Promise.withResolvers<never>();
  const end = () => {
    const silent = performance.now() - asked_ms > SILENT_MS_MAX;
    over.reject(silent ? new VaultAway('the vault was away') : new KeepingStopped('told to stop'));
  };
  signal.addEventListener('abort', end);
  try {
    return await Promise.race([answer, over.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
};

/** One HTTP exchange with the storage, to its end. Whatever goes wrong with it, the storage is away. */
const transfer = async (
  what: string,
  url: string,
  init: RequestInit,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> => {
  let response: Response;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    const until = AbortSignal.any([signal, AbortSignal.timeout(TRANSFER_TIMEOUT_MS)]);
    response = await fetch(url, { ...init, signal: until });
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Away(`${what} broke off`, { cause: error });
  }
  if (response.status === 404 && new TextDecoder().decode(bytes).includes(NO_SUCH_KEY))
    throw new WorkerFault(`${what}: the storage no longer has the bytes`, false);
  if (!response.ok) throw new Away(`the storage answered ${what} with ${response.status}`);
  return bytes;
};
