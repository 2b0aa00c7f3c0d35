// Verified content
//
//   V1. Bytes whose SHA-256 or length is not the recorded one never end as a complete 200: small blobs are verified
//       before the first byte is sent, of large ones the last piece is held back until all are verified.

import { createHash, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { problem, unavailable } from '../http/problem.js';

const BUFFERED_BYTES_MAX = 1024 * 1024;
const OPEN_TIMEOUT_MS = 10_000;

type Recorded = Readonly<{ artifact_id: string; sha256: string; size: number }>;

/** The stored bytes are not those that were recorded. */
class ContentCorrupt extends Error {
  override readonly name = 'ContentCorrupt';
}

const fetchBlob = async (url: string): Promise<Readable> => {
  // Only the beginning is timed: a large blob to a slow reader may take its time.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), OPEN_TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: abort.signal, redirect: 'error' });
    if (response.status === 200 && response.body) return Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    await response.body?.cancel();
    throw unavailable('vault-storage', `the object store answered ${response.status}`);
  } catch (error) {
    // Undici's only sign of an unreachable or silent store.
    if (error instanceof TypeError || abort.signal.aborted)
      throw unavailable('vault-storage', 'the object store does not answer');
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

const corrupt = ({ artifact_id }: Recorded) =>
  problem('artifact-corrupt', `the bytes stored for ${artifact_id} do not have the recorded SHA-256`);

const readWhole = async (blob: Readable, recorded: Recorded): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of blob as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > recorded.size) throw corrupt(recorded);
    chunks.push(Buffer.from(chunk));
  }
  const bytes = Buffer.concat(chunks, length);
  if (length !== recorded.size || hash('sha256', bytes, 'hex') !== recorded.sha256) throw corrupt(recorded);
  return bytes;
};

const verifying = async function* (
  blob: Readable,
  { artifact_id, sha256, size }: Recorded,
): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256');
  let length = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of blob as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > size) break;
    digest.update(chunk);
    if (held) yield held;
    held = chunk;
  }
  if (length !== size || digest.digest('hex') !== sha256)
    throw new ContentCorrupt(`the bytes stored for ${artifact_id} do not have the recorded SHA-256`);
  if (held) yield held;
};

export const openContent = async (url: string, recorded: Recorded): Promise<Readable> => {
  const blob = await fetchBlob(url);
  if (recorded.size > BUFFERED_BYTES_MAX) return Readable.from(verifying(blob, recorded), { objectMode: false });
  const bytes = await readWhole(blob, recorded);
  return Readable.from([bytes], { objectMode: false });
};
