// Blob store
//
// Bytes in S3-compatible object storage, addressed by their SHA-256.
//
//   B1. The key says what the bytes must be: `<space>/<first two digits>/<sha256>`. Who knows a digest knows the key. A
//       store sees one space, so that what is kept for another purpose is never taken for its own.
//   B2. Nothing is believed because it lies there: `verify` reads the bytes and hashes them, as a whole and, where it
//       is asked to, piece by piece, so that a part can be checked later without the rest.
//   B3. A URL that is given away is for one key, one method, and at most five minutes.
//   B4. A storage that is away, slow or wrong is `BlobStoreUnavailable`; only "there is no such key" is an answer.
//
// Eight S3 operations and no more (of one bucket: exists, make; of one object: head, get, put, delete, and two
// signatures), so that another storage can take the place of MinIO. Uploads of many parts need more: staging-store.ts.

import { createHash } from 'node:crypto';
import { Transform, type Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { Bucket, hasCode, URL_SECONDS_MAX, type BucketOptions } from './bucket.js';
import { BlobAbsent, BlobStoreUnavailable } from './errors.js';

/** A transfer that stands still this long is given up. */
const STALL_TIMEOUT_MS = 15_000;
const DIGEST = /^[0-9a-f]{64}$/;
/** A HEAD has no body: there a missing key cannot be told from a missing bucket. */
const ABSENT_CODES = ['NotFound', 'NoSuchKey'];
const NO_KEY_CODES = ['NoSuchKey'];

export type Space = 'blobs' | 'enclosures';

export type BlobStoreOptions = BucketOptions &
  Readonly<{
    /** @default blobs */
    space?: Space;
  }>;

const SHA256_BYTES = 32;
const MS_PER_SECOND = 1_000;

export type Reading = Readonly<{
  /** Digests of pieces of this size are wanted too. */
  piece_bytes?: number;
  /** No more than this, for what must not be in anybody's way. */
  bytes_per_second?: number;
}>;

export type Verification =
  | Readonly<{
      kind: 'verified';
      /** The SHA-256 of each piece, one after the other; there when pieces were asked for. */
      pieces?: Buffer;
    }>
  | Readonly<{ kind: 'absent' }>
  | Readonly<{ kind: 'differs'; sha256: string; size: number }>;

export const blobKey = (sha256: string, space: Space = 'blobs'): string => {
  if (!DIGEST.test(sha256)) throw new RangeError(`${JSON.stringify(sha256)} is not a SHA-256 digest`);
  return `${space}/${sha256.slice(0, 2)}/${sha256}`;
};

export class BlobStore {
  private readonly bucket: Bucket;
  private readonly keyOf: (sha256: string) => string;

  constructor({ space = 'blobs', ...options }: BlobStoreOptions) {
    this.bucket = new Bucket(options);
    this.keyOf = (sha256) => blobKey(sha256, space);
  }

  /** Makes the bucket where it is missing. Also the readiness probe of the storage. */
  prepare(): Promise<void> {
    return this.bucket.prepare();
  }

  /** The size of a blob in bytes; undefined when there is none. */
  async size(sha256: string): Promise<number | undefined> {
    const key = this.keyOf(sha256);
    return this.bucket.ask('look for a blob', async () => {
      try {
        return (await this.bucket.client.statObject(this.bucket.name, key)).size;
      } catch (error) {
        if (hasCode(error, ABSENT_CODES)) return undefined;
        throw error;
      }
    });
  }

  /**
   * Reads the stored bytes and says whether they are what their key says (B2). Of pieces the last one is what remains.
   */
  async verify(sha256: string, size: number, { piece_bytes, bytes_per_second }: Reading = {}): Promise<Verification> {
    const began_ms = performance.now();
    const whole = createHash('sha256');
    const pieces = piece_bytes === undefined ? undefined : new PieceDigests(piece_bytes);
    let read = 0;
    try {
      for await (const chunk of (await this.open(sha256)) as AsyncIterable<Buffer>) {
        whole.update(chunk);
        pieces?.update(chunk);
        read += chunk.length;
        if (bytes_per_second !== undefined) await untilDue(began_ms + (read / bytes_per_second) * MS_PER_SECOND);
      }
    } catch (error) {
      if (error instanceof BlobAbsent) return { kind: 'absent' };
      throw error instanceof BlobStoreUnavailable ? error : new BlobStoreUnavailable('send a blob', { cause: error });
    }
    const found = whole.digest('hex');
    if (found !== sha256 || read !== size) return { kind: 'differs', sha256: found, size: read };
    return { kind: 'verified', ...(pieces ? { pieces: pieces.digest() } : {}) };
  }

  /** The stored bytes, unchecked: whoever reads them hashes them. Throws `BlobAbsent`. */
  async open(sha256: string): Promise<Readable> {
    const key = this.keyOf(sha256);
    const stream = await this.bucket.ask('open a blob', async () => {
      try {
        return await this.bucket.client.getObject(this.bucket.name, key);
      } catch (error) {
        if (hasCode(error, NO_KEY_CODES)) throw new BlobAbsent(sha256);
        throw error;
      }
    });
    return guardStall(stream);
  }

  /** Keeps bytes under their own digest, and answers with it. */
  async put(bytes: Buffer): Promise<string> {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await this.bucket.ask('keep a blob', () =>
      this.bucket.client.putObject(this.bucket.name, this.keyOf(sha256), bytes, bytes.length),
    );
    return sha256;
  }

  /** Also of a blob that is not there. */
  async remove(sha256: string): Promise<void> {
    const key = this.keyOf(sha256);
    await this.bucket.ask('remove a blob', () => this.bucket.client.removeObject(this.bucket.name, key));
  }

  /** A URL for one PUT of the blob with this digest (B3). */
  async putUrl(sha256: string, seconds = URL_SECONDS_MAX): Promise<string> {
    return this.bucket.sign('PUT', this.keyOf(sha256), seconds);
  }

  /** A URL for one GET of the blob with this digest (B3). */
  async getUrl(sha256: string, seconds = URL_SECONDS_MAX): Promise<string> {
    return this.bucket.sign('GET', this.keyOf(sha256), seconds);
  }

  close(): void {
    this.bucket.close();
  }
}

/** Short of this, going on is cheaper than waiting. */
const PAUSE_MS_MIN = 20;

const untilDue = async (due_ms: number): Promise<void> => {
  const left_ms = due_ms - performance.now();
  if (left_ms >= PAUSE_MS_MIN) await pause(left_ms);
};

/** Digests of equal pieces of what comes in chunks of any size. */
class PieceDigests {
  private readonly digests: Buffer[] = [];
  private hash = createHash('sha256');
  private room: number;

  constructor(private readonly piece_bytes: number) {
    this.room = piece_bytes;
  }

  update(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.room);
      this.hash.update(part);
      this.room -= part.length;
      rest = rest.subarray(part.length);
      if (this.room === 0) this.endPiece();
    }
  }

  digest(): Buffer {
    if (this.room < this.piece_bytes) this.endPiece();
    return Buffer.concat(this.digests, this.digests.length * SHA256_BYTES);
  }

  private endPiece(): void {
    this.digests.push(this.hash.digest());
    this.hash = createHash('sha256');
    this.room = this.piece_bytes;
  }
}

/** Ends a download that has stopped moving. A reader that is slow to ask for more does not count as standing still. */
const guardStall = (source: Readable): Readable => {
  const through = new Transform({
    transform(chunk, _encoding, done) {
      arm();
      done(null, chunk);
    },
  });
  let timer: NodeJS.Timeout | undefined;
  const fail = () => {
    if (through.readableLength > 0) arm();
    else source.destroy(new BlobStoreUnavailable(`send more of a blob within ${STALL_TIMEOUT_MS} ms`));
  };
  const arm = () => {
    clearTimeout(timer);
    timer = setTimeout(fail, STALL_TIMEOUT_MS);
  };
  arm();
  source.once('error', (error) => through.destroy(error));
  source.once('close', () => clearTimeout(timer));
  through.once('close', () => {
    clearTimeout(timer);
    source.destroy();
  });
  return source.pipe(through);
};
