import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Problem } from '../http/problem.js';
import { openContent, openRange, piecesOf, type Pieces } from './content.js';

const SMALL = Buffer.from('a small artifact');
const LARGE = Buffer.alloc(3 * 1024 * 1024, 'large ');

/** What MinIO and S3 answer for a key that is not there. */
const NO_SUCH_KEY = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>';

/** An object store as far as one GET goes: it serves whatever lies under a path, in pieces. */
const blobs = new Map<string, Buffer>();
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const kept = blobs.get(request.url ?? '');
    if (!kept) return void response.writeHead(404).end(request.url === '/lost' ? NO_SUCH_KEY : '');
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const blob = from === undefined ? kept : kept.subarray(Number(from), Number(to) + 1);
    if (blob.length === 0 && from !== undefined) return void response.writeHead(416).end();
    response.writeHead(from === undefined ? 200 : 206, { 'content-length': blob.length });
    for (let at = 0; at < blob.length; at += 100_000) response.write(blob.subarray(at, at + 100_000));
    response.end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((done) => server.close(done)));

const recorded = (bytes: Buffer) => ({ artifact_id: 'art_1', sha256: hash('sha256', bytes), size: bytes.length });

/** What a reader got, and whether it was told that this is all. */
const read = async (path: string, bytes: Buffer): Promise<{ got: Buffer; whole: boolean }> => {
  const chunks: Buffer[] = [];
  const stream = await openContent(url + path, recorded(bytes));
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return { got: Buffer.concat(chunks), whole: true };
  } catch {
    return { got: Buffer.concat(chunks), whole: false };
  }
};

const changed = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(copy.length - 1) ^ 1, copy.length - 1);
  return copy;
};

describe.each([
  ['small', SMALL],
  ['large', LARGE],
])('a %s artifact', (_, bytes) => {
  it('is read as it was recorded', async () => {
    blobs.set('/right', bytes);
    const { got, whole } = await read('/right', bytes);
    expect([got.equals(bytes), whole]).toEqual([true, true]);
  });

  it.each([
    ['changed', changed(bytes)],
    ['cut short', bytes.subarray(0, -1)],
    ['longer', Buffer.concat([bytes, Buffer.from('x')])],
    ['empty', Buffer.alloc(0)],
  ])('that is %s never ends as a whole one (V1)', async (what, stored) => {
    const path = `/${encodeURIComponent(what)}`;
    blobs.set(path, stored);
    if (bytes === SMALL) {
      const refused = await openContent(url + path, recorded(bytes)).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Problem);
      expect((refused as Problem).code).toBe('artifact-corrupt');
    } else {
      const { got, whole } = await read(path, bytes);
      expect(whole).toBe(false);
      expect(got.length).toBeLessThan(bytes.length);
    }
  });

  it('whose store has lost everything is not an answer', async () => {
    await expect(openContent(`${url}/gone`, recorded(bytes))).rejects.toMatchObject({ code: 'service-unavailable' });
  });

  it('that the store has lost is lost, and no later attempt is better (V3)', async () => {
    await expect(openContent(`${url}/lost`, recorded(bytes))).rejects.toMatchObject({
      ...{ code: 'artifact-lost', status: 500 },
    });
  });
});

describe('a range', () => {
  const PIECE = 1024 * 1024;
  const range = (first: number, last: number) => ({ first, last });
  const piecesFor = (bytes: Buffer, wanted: { first: number; last: number }): Pieces => {
    const asked = piecesOf(wanted, PIECE);
    const digests = [];
    for (let index = asked.first; index <= asked.last; index += 1)
      digests.push(hash('sha256', bytes.subarray(index * PIECE, (index + 1) * PIECE)));
    return { ...asked, bytes: PIECE, sha256: digests };
  };
  const readRange = async (path: string, first: number, last: number) => {
    const wanted = range(first, last);
    const chunks: Buffer[] = [];
    let whole = true;
    try {
      const stream = await openRange(url + path, recorded(LARGE), wanted, piecesFor(LARGE, wanted));
      for await (const chunk of stream) chunks.push(chunk as Buffer);
    } catch (error) {
      if (chunks.length === 0) throw error;
      whole = false;
    }
    return { got: Buffer.concat(chunks), whole };
  };

  it.each([
    [0, 0],
    [0, PIECE - 1],
    [PIECE - 1, PIECE],
    [PIECE, PIECE],
    [5, 3 * PIECE - 1],
    [3 * PIECE - 1, 3 * PIECE - 1],
    [1_500_000, 2_500_000],
  ])('from %i to %i is read as it was recorded, whatever else has changed (V2)', async (first, last) => {
    const elsewhere = Buffer.from(LARGE);
    const { first: from, last: to } = piecesOf(range(first, last), PIECE);
    elsewhere.fill(0, 0, from * PIECE).fill(0, (to + 1) * PIECE);
    blobs.set('/part', elsewhere);
    const { got, whole } = await readRange('/part', first, last);
    expect([got.equals(LARGE.subarray(first, last + 1)), whole]).toEqual([true, true]);
  });

  it('is refused when its first piece has changed, even outside of it (V2)', async () => {
    const spoiled = Buffer.from(LARGE);
    spoiled.writeUInt8(spoiled.readUInt8(PIECE + 7) ^ 1, PIECE + 7);
    blobs.set('/spoiled', spoiled);
    await expect(readRange('/spoiled', PIECE + 100, PIECE + 200)).rejects.toMatchObject({ code: 'artifact-corrupt' });
  });

  it('ends before the first piece that has changed (V2)', async () => {
    blobs.set('/changed', changed(LARGE));
    const { got, whole } = await readRange('/changed', 10, LARGE.length - 1);
    expect(whole).toBe(false);
    expect(got.equals(LARGE.subarray(10, 2 * PIECE))).toBe(true);
  });

  it('of a blob that is shorter than recorded is refused', async () => {
    blobs.set('/short', LARGE.subarray(0, PIECE));
    await expect(readRange('/short', PIECE, PIECE)).rejects.toMatchObject({ code: 'artifact-corrupt' });
    blobs.set('/short', LARGE.subarray(0, PIECE + 5));
    await expect(readRange('/short', PIECE, PIECE)).rejects.toMatchObject({ code: 'artifact-corrupt' });
  });

  it('of a blob of one piece is cut from the whole, which is verified', async () => {
    blobs.set('/one', SMALL);
    const stream = await openRange(`${url}/one`, recorded(SMALL), range(2, 6), undefined);
    expect(await stream.toArray()).toEqual([SMALL.subarray(2, 7)]);
    blobs.set('/one', changed(SMALL));
    const refused = openRange(`${url}/one`, recorded(SMALL), range(2, 6), undefined);
    await expect(refused).rejects.toMatchObject({ code: 'artifact-corrupt' });
  });

  it('of a blob that is lost is lost (V3)', async () => {
    await expect(readRange('/lost', 0, 10)).rejects.toMatchObject({ code: 'artifact-lost' });
  });
});

describe('an object store that is away', () => {
  it('is said to be away', async () => {
    const away = openContent('http://127.0.0.1:1/x', recorded(SMALL));
    await expect(away).rejects.toMatchObject({ code: 'service-unavailable', status: 503 });
  });
});
