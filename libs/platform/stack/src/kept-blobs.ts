// Blobs in a backup, under the keys that they have in the store. What is still staged is nobody's yet and stays out.
//
//   B1. They are read before the log and what has come since after it: a blob is there before any commit names it, so
//       nothing that the log names is missing.
//   B2. What is not what its key says is told and left out: its bytes are of no use to anybody.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'minio';
import { BLOBS_FILE, digestIn, linesOf, PartWriter, type KeptBlob, type Manifest, type Part } from './backup-folder.js';

const SPACES = ['blobs/', 'enclosures/'];
const NO_SUCH_KEY = 'NoSuchKey';

export type Bucket = Readonly<{ client: Client; name: string }>;

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === NO_SUCH_KEY || error.code === 'NotFound');

const keysIn = async function* ({ client, name }: Bucket): AsyncGenerator<string> {
  for (const space of SPACES)
    for await (const { name: key } of client.listObjectsV2(name, space, true) as AsyncIterable<{ name?: string }>)
      if (key !== undefined) yield key;
};

/** One backup's blobs; asked twice, it takes what is new. */
export class KeptBlobs {
  private readonly taken = new Map<string, number>();
  private readonly damaged = new Set<string>();

  constructor(
    private readonly bucket: Bucket,
    private readonly folder: string,
    private readonly onProgress: (text: string) => void,
  ) {}

  async take(): Promise<void> {
    for await (const key of keysIn(this.bucket)) {
      if (this.taken.has(key) || this.damaged.has(key)) continue;
      await this.takeOne(key);
      this.onProgress(`${this.taken.size} blobs`);
    }
  }

  end(): { part: Part; blobs: Manifest['blobs'] } {
    const part = new PartWriter(this.folder, BLOBS_FILE);
    let bytes = 0;
    for (const [key, size] of this.taken) {
      part.write({ key, bytes: size });
      bytes += size;
    }
    return { part: part.end(), blobs: { count: this.taken.size, bytes, damaged: [...this.damaged].sort() } };
  }

  private async takeOne(key: string): Promise<void> {
    const path = join(this.folder, key);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const digest = createHash('sha256');
    const hashing = new Transform({
      transform(chunk: Buffer, _, done) {
        digest.update(chunk);
        done(undefined, chunk);
      },
    });
    try {
      const bytes = await this.bucket.client.getObject(this.bucket.name, key);
      await pipeline(bytes, hashing, createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true }));
    } catch (error) {
      // Deleted between the list and the reading: nothing refers to it.
      rmSync(path, { force: true });
      if (isGone(error)) return;
      throw error;
    }
    if (digest.digest('hex') === digestIn(key)) this.taken.set(key, statSync(path).size);
    else {
      this.damaged.add(key);
      rmSync(path);
    }
  }
}

export const putBlobsBack = async (
  { client, name }: Bucket,
  folder: string,
  count: number,
  onProgress: (text: string) => void,
): Promise<void> => {
  if (!existsSync(join(folder, BLOBS_FILE))) return;
  let done = 0;
  for await (const line of linesOf(folder, BLOBS_FILE)) {
    const { key, bytes } = line as KeptBlob;
    await client.putObject(name, key, createReadStream(join(folder, key)), bytes);
    done += 1;
    onProgress(`blob ${done} of ${count}`);
  }
};
