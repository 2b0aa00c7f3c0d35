// What the mission service asks of the vault: bytes, by their digest.
//
//   B1. Bytes count only if they have the digest and the size that the log names.
//   B2. While the vault or its storage is away `Unavailable` is thrown: whoever needs the bytes waits. Bytes that are
//       gone, or are others than were kept, are `BlobLost`: waiting does not bring them back.

import { Injectable } from '@nestjs/common';
import { sha256Hex } from '@nexusmon/event-log';
import { MessageClient, Unavailable } from '@nexusmon/messaging';
import { openedArtifact, openedBlob, uploadTarget, VAULT_SUBJECTS } from '@nexusmon/vault-contract';

const TIMEOUT_MS = 5_000;
const GONE = '<Code>NoSuchKey</Code>';

export type BlobName = Readonly<{ sha256: string; size: number }>;
/** `what`: for whom it may concern when it is lost. */
type Wanted = BlobName & Readonly<{ what: string }>;

/** `what` is said first: it is read by people who know no blobs. */
export class BlobLost extends Error {
  override readonly name = 'BlobLost';
  constructor(what: string, why: string) {
    super(`${what}: ${why}`);
  }
}

@Injectable()
export class Vault {
  constructor(private readonly client: MessageClient) {}

  /** Resolves once the vault has read the bytes back from its storage. Nothing is recorded: the caller's events are. */
  async put(bytes: Buffer): Promise<BlobName> {
    const blob = { sha256: sha256Hex(bytes), size: bytes.byteLength };
    const { present, url } = await this.beginUpload(blob);
    if (present) return blob;
    if (url === undefined) throw new Error('the vault neither has the bytes nor says where to put them');
    await exchange(url, { method: 'PUT', body: new Uint8Array(bytes) }, async (response) => {
      if (!response.ok) throw new Unavailable('vault', `the store answered an upload with ${response.status}`);
      await response.arrayBuffer();
    });
    const kept = await this.beginUpload(blob);
    if (!kept.present) throw new Unavailable('vault', 'the store does not have what it was just given');
    return blob;
  }

  async read(wanted: Wanted): Promise<Buffer> {
    const { sha256, what } = wanted;
    const { url } = openedBlob.parse(await this.ask(VAULT_SUBJECTS.open_blob, { sha256 }, what));
    return download(url, wanted);
  }

  async readArtifact(artifact_id: string, wanted: Wanted): Promise<Buffer> {
    const { url } = openedArtifact.parse(await this.ask(VAULT_SUBJECTS.open, { artifact_id }, wanted.what));
    return download(url, wanted);
  }

  private async beginUpload(blob: BlobName) {
    return uploadTarget.parse(
      await this.ask(VAULT_SUBJECTS.begin_upload, { ...blob, space: 'enclosures' }, 'an upload'),
    );
  }

  private async ask(subject: string, question: object, what: string): Promise<unknown> {
    const reply = await this.client.request<unknown>(subject, question, { timeout_ms: TIMEOUT_MS });
    if (reply.kind === 'done') return reply.body;
    if (reply.kind === 'refused') throw new BlobLost(what, reply.refusal.detail);
    throw new Unavailable(reply.unavailable.dependency, reply.unavailable.detail);
  }
}

/** One exchange with the storage, read to its end. */
const exchange = async <Answer>(
  url: string,
  init: RequestInit,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> => {
  try {
    return await read(await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) }));
  } catch (error) {
    if (error instanceof Unavailable || error instanceof BlobLost) throw error;
    throw new Unavailable('vault', 'the store did not answer', { cause: error });
  }
};

const download = async (url: string, { sha256, size, what }: Wanted): Promise<Buffer> => {
  const others = new BlobLost(what, 'the vault holds other bytes than were kept');
  const bytes = await exchange(url, {}, async (response) => {
    // Any other 404, of a bucket say, may be a storage that is being mended.
    if (response.status === 404 && (await response.text()).includes(GONE))
      throw new BlobLost(what, 'the vault no longer has the bytes');
    if (!response.ok) throw new Unavailable('vault', `the store answered ${response.status}`);
    const length = response.headers.get('content-length');
    if (length !== null && Number(length) !== size) {
      await response.body?.cancel();
      throw others;
    }
    return Buffer.from(await response.arrayBuffer());
  });
  if (sha256Hex(bytes) !== sha256) throw others; // B1
  return bytes;
};
