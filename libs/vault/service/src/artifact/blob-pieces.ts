// Digests of the pieces of large blobs, so that a range can be checked without reading the rest.
//
//   P1. Kept only of bytes that were read and had the digest of the whole, by the same reading.
//   P2. Not derived from the log, and not needed for good: what is missing is read from the blob again.

import { Injectable } from '@nestjs/common';
import { BlobStore, type Verification } from '@nexusmon/artifacts';
import { Database } from '@nexusmon/projections';
import { PIECE_BYTES } from '@nexusmon/vault-contract';

const SHA256_BYTES = 32;

type Blob = Readonly<{ sha256: string; size: number }>;
type Found = Readonly<{ kind: 'known'; digests: Buffer }> | Exclude<Verification, { kind: 'verified' }>;

@Injectable()
export class BlobPieces {
  private readonly reading = new Map<string, Promise<Found>>();

  constructor(
    private readonly blobs: BlobStore,
    private readonly database: Database,
  ) {}

  /** As the store's `verify`; remembers the pieces of what has several (P1). */
  async verify({ sha256, size }: Blob): Promise<Verification> {
    if (size <= PIECE_BYTES) return this.blobs.verify(sha256, size);
    const found = await this.blobs.verify(sha256, size, { piece_bytes: PIECE_BYTES });
    if (found.kind === 'verified' && found.pieces) await this.keep(sha256, found.pieces);
    return found;
  }

  /** The digests of pieces `first` to `last`, or why there are none. A blob is read for them once at a time. */
  async digestsOf(
    blob: Blob,
    first: number,
    last: number,
  ): Promise<readonly string[] | Exclude<Found, { kind: 'known' }>> {
    const found = await this.allOf(blob);
    if (found.kind !== 'known') return found;
    return Array.from({ length: last - first + 1 }, (_, index) => {
      const at = (first + index) * SHA256_BYTES;
      return found.digests.toString('hex', at, at + SHA256_BYTES);
    });
  }

  private async allOf(blob: Blob): Promise<Found> {
    const { rows } = await this.database.query<{ digests: Buffer }>(
      'select digests from vault.blob_pieces where sha256 = $1',
      [blob.sha256],
    );
    const [row] = rows;
    if (row) return { kind: 'known', digests: row.digests };
    const reading = this.reading.get(blob.sha256) ?? this.readPieces(blob);
    this.reading.set(blob.sha256, reading);
    return reading;
  }

  private async readPieces(blob: Blob): Promise<Found> {
    try {
      const found = await this.blobs.verify(blob.sha256, blob.size, { piece_bytes: PIECE_BYTES });
      if (found.kind !== 'verified') return found;
      const digests = found.pieces ?? Buffer.alloc(0);
      await this.keep(blob.sha256, digests);
      return { kind: 'known', digests };
    } finally {
      this.reading.delete(blob.sha256);
    }
  }

  /** The same bytes have the same pieces: whoever comes second changes nothing. */
  private async keep(sha256: string, digests: Buffer): Promise<void> {
    await this.database.query(
      'insert into vault.blob_pieces (sha256, digests) values ($1, $2) on conflict do nothing',
      [sha256, digests],
    );
  }
}
