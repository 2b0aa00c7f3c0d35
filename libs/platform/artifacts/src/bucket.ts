// One bucket of an S3-compatible storage: how it is asked, and what its failures are called.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Client, S3Error } from 'minio';
import { BlobAbsent, BlobStoreUnavailable, StoreFull } from './errors.js';

const ANSWER_TIMEOUT_MS = 10_000;
const SOCKETS_MAX = 64;
export const URL_SECONDS_MAX = 300;
/** Two that start at the same time both find no bucket; the second to make it is told so. */
const MADE_CODES = ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'];
/** No space on its disks, or none left of what this bucket may have. */
const FULL_CODES = ['XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'QuotaExceeded'];
/** What MinIO says besides when its disk is filled in the middle of something. */
const FILLED = 'no space left on device';

export type BucketOptions = Readonly<{
  endpoint: string;
  access_key: string;
  secret_key: string;
  bucket: string;
  region: string;
}>;

export const hasCode = (error: unknown, codes: readonly string[]): boolean =>
  error instanceof S3Error && codes.includes(error.code ?? '');

const isFull = (error: unknown): boolean =>
  hasCode(error, FULL_CODES) || (error instanceof S3Error && error.message.includes(FILLED));

class S3Client extends Client {
  /** When the newest part of an unfinished upload came; undefined when it has none yet. */
  async newestPart(bucket: string, key: string, store_id: string): Promise<Date | undefined> {
    const parts = await this.listParts(bucket, key, store_id);
    return parts.map(({ lastModified }) => lastModified).reduce((a, b) => (a && b && a > b ? a : b), undefined);
  }
}

export class Bucket {
  readonly client: S3Client;
  readonly name: string;
  private readonly agent: HttpAgent;

  constructor({ endpoint, access_key, secret_key, bucket, region }: BucketOptions) {
    const { hostname, port, protocol } = new URL(endpoint);
    const useSSL = protocol === 'https:';
    const sockets = { keepAlive: true, maxSockets: SOCKETS_MAX };
    this.agent = useSSL ? new HttpsAgent(sockets) : new HttpAgent(sockets);
    this.name = bucket;
    this.client = new S3Client({
      endPoint: hostname,
      port: Number(port || (useSSL ? 443 : 80)),
      useSSL,
      accessKey: access_key,
      secretKey: secret_key,
      // Known beforehand, so that signing a URL asks nobody.
      region,
      transportAgent: this.agent,
      // Whoever calls decides about another try, and the client would print its own.
      retryOptions: { disableRetry: true },
    });
  }

  /** Makes the bucket where it is missing. */
  async prepare(): Promise<void> {
    await this.ask('look for its bucket', async () => {
      if (await this.client.bucketExists(this.name)) return;
      try {
        await this.client.makeBucket(this.name);
      } catch (error) {
        if (!hasCode(error, MADE_CODES)) throw error;
      }
    });
  }

  /** A URL for one key and one method, of a part where `query` names it. */
  async sign(method: 'GET' | 'PUT', key: string, seconds: number, query?: Record<string, string>): Promise<string> {
    if (!(seconds >= 1 && seconds <= URL_SECONDS_MAX)) throw new RangeError(`a URL cannot last ${seconds} s`);
    return this.ask('sign a URL', () =>
      this.client.presignedUrl(method, this.name, key, Math.floor(seconds), query ?? {}),
    );
  }

  /** Bounds the wait for an answer, and gives every failure but ours one of two names. */
  async ask<Answer>(doing: string, work: () => Promise<Answer>, timeout_ms = ANSWER_TIMEOUT_MS): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new BlobStoreUnavailable(`${doing} within ${timeout_ms} ms`));
      timer = setTimeout(fail, timeout_ms);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      if (error instanceof BlobAbsent || error instanceof BlobStoreUnavailable) throw error;
      if (isFull(error)) throw new StoreFull({ cause: error });
      throw new BlobStoreUnavailable(doing, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.agent.destroy();
  }
}
