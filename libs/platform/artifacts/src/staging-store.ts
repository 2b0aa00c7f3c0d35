// Staging store
//
// Bytes that come in parts, before anybody knows their digest. They lie under `staged/<upload_id>/` until they are
// copied to their digest's key or given up.
//
//   S1. Beside the parts lies an object that says by which id the storage knows them, written before the first part can
//       be: storages need not list unfinished uploads, and who begins one may be gone in the next moment.
//   S2. Nothing here is a blob: what is staged is read by its copy alone, and removed with all that belongs to it.
//   S3. What has had no new part for a while belongs to nobody any more. The storage's own times say so, so that it is
//       known whoever runs and whoever ran before. That holds for bytes alone, too: a join that was given up may still
//       be carried out, after everything else is gone.

import { buffer } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { blobKey } from './blob-store.js';
import { Bucket, hasCode, URL_SECONDS_MAX, type BucketOptions } from './bucket.js';
import { UploadLost } from './errors.js';

const PREFIX = 'staged/';
const BYTES = 'bytes';
const BEGUN = 'begun';
const UPLOAD_ID = /^[a-z0-9_-]{1,64}$/;
const NO_UPLOAD_CODES = ['NoSuchUpload'];
const NO_KEY_CODES = ['NotFound', 'NoSuchKey'];
const MS_PER_SECOND = 1_000;
/** Joining and copying take their time with the number of bytes: no slower than this, and a while for the rest. */
const COPY_BYTES_PER_SECOND_MIN = 8 * 1024 * 1024;
const COPY_MS_MIN = 30_000;

/** `store_id` is the storage's name for it. */
export type Staged = Readonly<{ upload_id: string; store_id: string }>;
/** Which uploads a sweep has discarded, and which it could not. */
export type Swept = Readonly<{ discarded: readonly string[]; failed: ReadonlyMap<string, unknown> }>;
type Listed = Readonly<{ name?: string; lastModified?: Date }>;

const keyOf = (upload_id: string, what: typeof BYTES | typeof BEGUN): string => {
  if (!UPLOAD_ID.test(upload_id)) throw new RangeError(`${JSON.stringify(upload_id)} is not the id of an upload`);
  return `${PREFIX}${upload_id}/${what}`;
};

const patience = (size: number): number => COPY_MS_MIN + (size / COPY_BYTES_PER_SECOND_MIN) * MS_PER_SECOND;

export class StagingStore {
  private readonly bucket: Bucket;

  constructor(options: BucketOptions) {
    this.bucket = new Bucket(options);
  }

  async begin(upload_id: string): Promise<Staged> {
    const { client, name } = this.bucket;
    const store_id = await this.bucket.ask('begin an upload', () =>
      client.initiateNewMultipartUpload(name, keyOf(upload_id, BYTES), {}),
    );
    const begun = Buffer.from(store_id);
    await this.bucket.ask(
      'note an upload',
      () => client.putObject(name, keyOf(upload_id, BEGUN), begun, begun.length), // S1
    );
    return { upload_id, store_id };
  }

  /** A URL for one PUT of one part. */
  async partUrl({ upload_id, store_id }: Staged, part: number): Promise<string> {
    const query = { partNumber: String(part), uploadId: store_id };
    return this.bucket.sign('PUT', keyOf(upload_id, BYTES), URL_SECONDS_MAX, query);
  }

  /** Joins the parts, in their order. Once they are joined it changes nothing. Throws `UploadLost`. */
  async join({ upload_id, store_id }: Staged, etags: readonly string[], size: number): Promise<void> {
    const { client, name } = this.bucket;
    const parts = etags.map((etag, index) => ({ part: index + 1, etag: etag.replaceAll('"', '') }));
    const key = keyOf(upload_id, BYTES);
    const work = async () => {
      try {
        await client.completeMultipartUpload(name, key, store_id, parts);
      } catch (error) {
        if (!hasCode(error, NO_UPLOAD_CODES) || !(await this.isJoined(upload_id))) throw error;
      }
    };
    await this.orLost(upload_id, NO_UPLOAD_CODES, 'join the parts of an upload', work, patience(size));
  }

  /** Puts the joined bytes under a digest, unread: whoever relies on them verifies them. Throws `UploadLost`. */
  async copy({ upload_id }: Staged, sha256: string, size: number): Promise<void> {
    const { client, name } = this.bucket;
    const copy = () => client.copyObject(name, blobKey(sha256), `/${name}/${keyOf(upload_id, BYTES)}`);
    await this.orLost(upload_id, NO_KEY_CODES, 'copy an upload', copy, patience(size));
  }

  /** All that belongs to it, also when some of it is gone already. */
  async discard({ upload_id, store_id }: Staged): Promise<void> {
    const { client, name } = this.bucket;
    await this.bucket.ask('give up an upload', async () => {
      try {
        await client.abortMultipartUpload(name, keyOf(upload_id, BYTES), store_id);
      } catch (error) {
        if (!hasCode(error, NO_UPLOAD_CODES)) throw error;
      }
      await client.removeObject(name, keyOf(upload_id, BYTES));
      // Last: until then a sweep still finds the rest.
      await client.removeObject(name, keyOf(upload_id, BEGUN));
    });
  }

  /**
   * Discards what has stood still for so long and is not wanted all the same (S3), and tells what that was. What cannot
   * be discarded is in nobody's way: the next sweep finds it again.
   */
  async sweep(seconds: number, isWanted: (upload_id: string) => boolean = () => false): Promise<Swept> {
    const before_ms = Date.now() - seconds * MS_PER_SECOND;
    const discarded: string[] = [];
    const failed = new Map<string, unknown>();
    for (const upload_id of await this.uploads()) {
      if (isWanted(upload_id)) continue;
      try {
        if (await this.sweepOne(upload_id, before_ms)) discarded.push(upload_id);
      } catch (error) {
        failed.set(upload_id, error);
      }
    }
    return { discarded, failed };
  }

  close(): void {
    this.bucket.close();
  }

  private async sweepOne(upload_id: string, before_ms: number): Promise<boolean> {
    const store_id = await this.storeIdOf(upload_id);
    const moved = await (store_id === undefined ? this.lateJoin(upload_id) : this.lastMoved({ upload_id, store_id }));
    if (moved === undefined || moved.getTime() > before_ms) return false;
    if (store_id === undefined) await this.removeBytes(upload_id);
    else await this.discard({ upload_id, store_id });
    return true;
  }

  /** When the storage joined what was given up meanwhile; undefined when somebody has just discarded it all. */
  private lateJoin(upload_id: string): Promise<Date | undefined> {
    return this.bucket.ask('look at an upload', () => this.modifiedAt(keyOf(upload_id, BYTES)));
  }

  private removeBytes(upload_id: string): Promise<void> {
    const { client, name } = this.bucket;
    return this.bucket.ask('give up an upload', () => client.removeObject(name, keyOf(upload_id, BYTES)));
  }

  private async orLost<Answer>(
    upload_id: string,
    codes: readonly string[],
    doing: string,
    work: () => Promise<Answer>,
    timeout_ms: number,
  ): Promise<Answer> {
    try {
      return await this.bucket.ask(doing, work, timeout_ms);
    } catch (error) {
      if (error instanceof Error && hasCode(error.cause, codes)) throw new UploadLost(upload_id);
      throw error;
    }
  }

  private async isJoined(upload_id: string): Promise<boolean> {
    return (await this.modifiedAt(keyOf(upload_id, BYTES))) !== undefined;
  }

  private async modifiedAt(key: string): Promise<Date | undefined> {
    const { client, name } = this.bucket;
    try {
      return (await client.statObject(name, key)).lastModified;
    } catch (error) {
      if (hasCode(error, NO_KEY_CODES)) return undefined;
      throw error;
    }
  }

  private async uploads(): Promise<ReadonlySet<string>> {
    const { client, name } = this.bucket;
    return this.bucket.ask('list uploads', async () => {
      const found = new Set<string>();
      for await (const { name: key = '' } of client.listObjectsV2(name, PREFIX, true) as AsyncIterable<Listed>) {
        const upload_id = key.slice(PREFIX.length).split('/', 1)[0] ?? '';
        if (UPLOAD_ID.test(upload_id)) found.add(upload_id);
      }
      return found;
    });
  }

  /** Undefined when somebody has just discarded it. */
  private async storeIdOf(upload_id: string): Promise<string | undefined> {
    const { client, name } = this.bucket;
    return this.bucket.ask('read about an upload', async () => {
      try {
        const begun: Readable = await client.getObject(name, keyOf(upload_id, BEGUN));
        return (await buffer(begun)).toString();
      } catch (error) {
        if (hasCode(error, NO_KEY_CODES)) return undefined;
        throw error;
      }
    });
  }

  private async lastMoved({ upload_id, store_id }: Staged): Promise<Date | undefined> {
    const { client, name } = this.bucket;
    return this.bucket.ask('look at an upload', async () => {
      const joined = await this.modifiedAt(keyOf(upload_id, BYTES));
      if (joined) return joined;
      const begun = await this.modifiedAt(keyOf(upload_id, BEGUN));
      try {
        return (await client.newestPart(name, keyOf(upload_id, BYTES), store_id)) ?? begun;
      } catch (error) {
        if (hasCode(error, NO_UPLOAD_CODES)) return begun;
        throw error;
      }
    });
  }
}
