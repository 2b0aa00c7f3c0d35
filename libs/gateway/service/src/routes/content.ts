// Verified content
//
//   V1. Bytes whose SHA-256 or length is not the recorded one never end as a complete 200: small blobs are verified
//       before the first byte is sent, of large ones the last piece is held back until all are verified.
//   V2. No byte of a range is sent before the piece that holds it has the digest that was taken of it when the whole
//       was verified; a blob of one piece is verified as a whole. The first piece decides before anything is answered.
//   V3. A blob that the store no longer has is lost, and no later attempt is better; a store that is away is not.

import { createHash, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { ByteRange } from '../http/byte-range.js';
import { problem, unavailable } from '../http/problem.js';

const BUFFERED_BYTES_MAX = 1024 * 1024;
const OPEN_TIMEOUT_MS = 10_000;

type Recorded = Readonly<{ artifact_id: string; sha256: string; size: number }>;

/** The stored bytes are not those that were recorded. */
class ContentCorrupt extends Error {
  override readonly name = 'ContentCorrupt';
}

const lost = ({ artifact_id }: Recorded) =>
  problem('artifact-lost', `the bytes of ${artifact_id} are no longer in the store`);

/** How the store says that one key is missing, and not the bucket with all of them. */
const NO_SUCH_KEY = '<Code>NoSuchKey</Code>';

/** The whole of a blob, or `span` of it. */
const fetchBlob = async (url: string, recorded: Recorded, span?: ByteRange): Promise<Readable> => {
  // Only the beginning is timed: a large blob to a slow reader may take its time.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), OPEN_TIMEOUT_MS);
  try {
    const headers: Record<string, string> = span ? { range: `bytes=${span.first}-${span.last}` } : {};
    const response = await fetch(url, { headers, signal: abort.signal, redirect: 'error' });
    if (response.status === (span ? 206 : 200) && response.body)
      return Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    const said = await response.text();
    if (response.status === 404 && said.includes(NO_SUCH_KEY)) throw lost(recorded);
    // Shorter than what was recorded.
    if (response.status === 416) throw corrupt(recorded);
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

/** A store that breaks off is away. Undici says so with a TypeError. */
const chunksOf = async function* (blob: Readable): AsyncGenerator<Uint8Array> {
  try {
    yield* blob as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (error instanceof TypeError) throw unavailable('vault-storage', 'the object store broke off');
    throw error;
  }
};

const corrupt = ({ artifact_id }: Recorded) =>
  problem('artifact-corrupt', `the bytes stored for ${artifact_id} do not have the recorded SHA-256`);

const readWhole = async (blob: Readable, recorded: Recorded): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(blob)) {
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
  for await (const chunk of chunksOf(blob)) {
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
  const blob = await fetchBlob(url, recorded);
  if (recorded.size > BUFFERED_BYTES_MAX) return Readable.from(verifying(blob, recorded), { objectMode: false });
  const bytes = await readWhole(blob, recorded);
  return Readable.from([bytes], { objectMode: false });
};

/** Pieces of equal size but for the last, each once it has its digest. */
const verifiedPieces = async function* (blob: Readable, recorded: Recorded, pieces: Pieces): AsyncGenerator<Buffer> {
  const { first, last, bytes, sha256 } = pieces;
  let [index, filled] = [first, 0];
  let piece = Buffer.allocUnsafe(sizeOf(index, recorded, bytes));
  for await (const chunk of chunksOf(blob)) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (index > last) throw corrupt(recorded);
      const copied = rest.copy(piece, filled);
      filled += copied;
      rest = rest.subarray(copied);
      if (filled < piece.length) continue;
      if (hash('sha256', piece, 'hex') !== sha256[index - first]) throw corrupt(recorded);
      yield piece;
      [index, filled] = [index + 1, 0];
      if (index <= last) piece = Buffer.allocUnsafe(sizeOf(index, recorded, bytes));
    }
  }
  if (index <= last) throw corrupt(recorded);
};

const sizeOf = (index: number, { size }: Recorded, bytes: number): number => Math.min(bytes, size - index * bytes);

/** Which pieces hold a range, what each must be, and the size of all but the last. */
export type Pieces = Readonly<{ first: number; last: number; bytes: number; sha256: readonly string[] }>;

export const piecesOf = ({ first, last }: ByteRange, bytes: number) => ({
  first: Math.floor(first / bytes),
  last: Math.floor(last / bytes),
});

const partsOf = async function* (
  pieces: AsyncIterable<Buffer>,
  range: ByteRange,
  { first, bytes }: Pieces,
): AsyncGenerator<Buffer> {
  let at = first * bytes;
  for await (const piece of pieces) {
    yield piece.subarray(Math.max(0, range.first - at), range.last + 1 - at);
    at += piece.length;
  }
};

/** The bytes of a range (V2). Without `pieces` the blob is one of a single piece. */
export const openRange = async (
  url: string,
  recorded: Recorded,
  range: ByteRange,
  pieces: Pieces | undefined,
): Promise<Readable> => {
  if (!pieces) {
    const bytes = await readWhole(await fetchBlob(url, recorded), recorded);
    return Readable.from([bytes.subarray(range.first, range.last + 1)], { objectMode: false });
  }
  const span = {
    first: pieces.first * pieces.bytes,
    last: Math.min((pieces.last + 1) * pieces.bytes, recorded.size) - 1,
  };
  const parts = partsOf(verifiedPieces(await fetchBlob(url, recorded, span), recorded, pieces), range, pieces);
  const begun = await parts.next();
  const all = async function* () {
    if (!begun.done) yield begun.value;
    yield* parts;
  };
  return Readable.from(all(), { objectMode: false });
};
