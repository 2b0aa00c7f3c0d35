import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Problem } from '../http/problem.js';
import { openContent } from './content.js';

const SMALL = Buffer.from('a small artifact');
const LARGE = Buffer.alloc(3 * 1024 * 1024, 'large ');

/** An object store as far as one GET goes: it serves whatever lies under a path, in pieces. */
const blobs = new Map<string, Buffer>();
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const blob = blobs.get(request.url ?? '');
    if (!blob) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': blob.length });
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

  it('that has gone is not an answer', async () => {
    await expect(openContent(`${url}/gone`, recorded(bytes))).rejects.toMatchObject({ code: 'service-unavailable' });
  });
});

describe('an object store that is away', () => {
  it('is said to be away', async () => {
    const away = openContent('http://127.0.0.1:1/x', recorded(SMALL));
    await expect(away).rejects.toMatchObject({ code: 'service-unavailable', status: 503 });
  });
});
