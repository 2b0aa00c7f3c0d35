// Against a real MinIO. `B1`–`B4` are the numbers in blob-store.ts.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testServers } from '@nexusmon/testing';
import { BlobAbsent, blobKey, BlobStore, BlobStoreUnavailable, type BlobStoreOptions } from './index.js';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const servers = await testServers();
const { s3_access_key, s3_secret_key } = JSON.parse(readFileSync(join(servers.secrets_dir, 'vault.json'), 'utf8')) as {
  s3_access_key: string;
  s3_secret_key: string;
};
const options: BlobStoreOptions = {
  endpoint: servers.s3_endpoint,
  access_key: s3_access_key,
  secret_key: s3_secret_key,
  bucket: 'blob-store-spec',
  region: 'us-east-1',
};
const store = new BlobStore(options);

beforeAll(() => store.prepare());
afterAll(() => store.close());

describe('a blob store', () => {
  it('is prepared as often as one likes, also by two at once', async () => {
    const other = new BlobStore({ ...options, bucket: 'blob-store-spec-2' });
    await Promise.all([other.prepare(), other.prepare(), store.prepare()]);
    other.close();
  });

  it('keeps bytes under their own digest and gives the same bytes back (B1)', async () => {
    const bytes = randomBytes(300_000);
    await expect(store.put(bytes)).resolves.toBe(sha256(bytes));
    await expect(store.size(sha256(bytes))).resolves.toBe(bytes.length);
    expect((await buffer(await store.open(sha256(bytes)))).equals(bytes)).toBe(true);
    await expect(store.verify(sha256(bytes), bytes.length)).resolves.toEqual({ kind: 'verified' });
  });

  it.each([0, 1, 99, 100, 101, 200, 70_001])('tells the digest of each piece of %i bytes (B2)', async (size) => {
    const bytes = randomBytes(size);
    const digest = await store.put(bytes);
    const piece_bytes = size > 1_000 ? 30_000 : 100;
    const expected = Array.from({ length: Math.ceil(size / piece_bytes) }, (_, index) =>
      createHash('sha256')
        .update(bytes.subarray(index * piece_bytes, (index + 1) * piece_bytes))
        .digest(),
    );
    const pieces = Buffer.concat(expected);
    await expect(store.verify(digest, size, { piece_bytes })).resolves.toEqual({ kind: 'verified', pieces });
  });

  it('calls a store without its bucket unavailable, not empty (B4)', async () => {
    const elsewhere = new BlobStore({ ...options, bucket: 'blob-store-spec-never-made' });
    await expect(elsewhere.verify(sha256(Buffer.from('x')), 1)).rejects.toThrow(BlobStoreUnavailable);
    elsewhere.close();
  });

  it('removes a blob, also one that is not there', async () => {
    const digest = await store.put(Buffer.from('to be removed'));
    await store.remove(digest);
    await store.remove(digest);
    await expect(store.verify(digest, 13)).resolves.toEqual({ kind: 'absent' });
  });

  it('sees nothing of another space (B1)', async () => {
    const enclosures = new BlobStore({ ...options, space: 'enclosures' });
    const digest = await enclosures.put(Buffer.from('for another purpose'));
    await store.remove(digest);
    await expect(store.size(digest)).resolves.toBeUndefined();
    await expect(enclosures.verify(digest, 19)).resolves.toEqual({ kind: 'verified' });
    enclosures.close();
  });

  it('reads no faster than it is told to', async () => {
    const digest = await store.put(randomBytes(300_000));
    const began_ms = performance.now();
    await expect(store.verify(digest, 300_000, { bytes_per_second: 1_000_000 })).resolves.toEqual({ kind: 'verified' });
    expect(performance.now() - began_ms).toBeGreaterThan(250);
  });

  it('keeps the empty blob', async () => {
    const digest = await store.put(Buffer.alloc(0));
    await expect(store.verify(digest, 0)).resolves.toEqual({ kind: 'verified' });
  });

  it('says that there is no such blob', async () => {
    const digest = sha256(Buffer.from('never kept'));
    await expect(store.size(digest)).resolves.toBeUndefined();
    await expect(store.verify(digest, 10)).resolves.toEqual({ kind: 'absent' });
    await expect(store.open(digest)).rejects.toThrow(BlobAbsent);
  });

  it('finds out that stored bytes are not what their key says (B2)', async () => {
    const promised = sha256(Buffer.from('the promised bytes'));
    const other = Buffer.from('the delivered bytes');
    expect((await fetch(await store.putUrl(promised), { method: 'PUT', body: other })).status).toBe(200);
    await expect(store.verify(promised, 18)).resolves.toEqual({
      kind: 'differs',
      sha256: sha256(other),
      size: other.length,
    });
  });

  it('finds out that the size differs', async () => {
    const digest = await store.put(Buffer.from('four'));
    await expect(store.verify(digest, 5)).resolves.toEqual({ kind: 'differs', sha256: digest, size: 4 });
  });

  it('gives a URL for one key and one method (B3)', async () => {
    const bytes = Buffer.from('put through a URL');
    const put_url = await store.putUrl(sha256(bytes));
    expect((await fetch(put_url, { method: 'PUT', body: bytes })).status).toBe(200);
    const get_url = await store.getUrl(sha256(bytes));
    await expect((await fetch(get_url)).text()).resolves.toBe('put through a URL');

    const elsewhere = get_url.replace(blobKey(sha256(bytes)), blobKey(sha256(Buffer.from('another'))));
    expect((await fetch(elsewhere)).status).toBe(403);
    expect((await fetch(get_url, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect(Number(new URL(put_url).searchParams.get('X-Amz-Expires'))).toBeLessThanOrEqual(300);
    await expect(store.getUrl(sha256(bytes), 301)).rejects.toThrow(RangeError);
  });

  it('refuses a key that is not a digest', async () => {
    await expect(store.open('../../secrets')).rejects.toThrow(RangeError);
  });

  it('calls a storage that is not there unavailable (B4)', async () => {
    const away = new BlobStore({ ...options, endpoint: 'http://127.0.0.1:1' });
    await expect(away.prepare()).rejects.toThrow(BlobStoreUnavailable);
    await expect(away.size(sha256(Buffer.from('x')))).rejects.toMatchObject({ dependency: 'blob-store' });
    away.close();
  });

  it('calls a storage with other keys unavailable (B4)', async () => {
    const stranger = new BlobStore({ ...options, secret_key: 'not-the-secret-key' });
    await expect(stranger.size(sha256(Buffer.from('x')))).rejects.toThrow(BlobStoreUnavailable);
    stranger.close();
  });

  it('calls a storage that breaks off in the middle of a blob unavailable (B4)', async () => {
    const server: Server = createServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\nonly this');
        socket.end();
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    const broken = new BlobStore({ ...options, endpoint: `http://127.0.0.1:${port}` });
    await expect(broken.verify(sha256(Buffer.from('x')), 1_000)).rejects.toThrow(BlobStoreUnavailable);
    broken.close();
    server.close();
  });
});
