// Arrivals of blobs: bytes that may come to lie under their digest before anything is recorded
//
//   W1. That bytes may come is written down before they can. So whatever no record names is found again, whoever has
//       crashed, given up or hung up in between.
//   W2. What has come and is not recorded in time is removed as any blob that nobody needs. Whoever was only slow is
//       told so when recording, and puts the bytes again.
//   W3. A note stays until nothing that was allowed when it was written can bring bytes any more: not the URL that was
//       given out, nor a copy that the store was asked for and has not answered.

import { Injectable } from '@nestjs/common';
import { Database } from '@nexusmon/projections';
import { Logger } from '@nexusmon/telemetry';
import { ARTIFACT_VIEW } from './artifact.projection.js';
import { BlobRemoval } from './blob-removal.js';

/** A URL is good for five minutes, and a copy of 5 GiB is waited for a little more than eleven (W3). */
const BRINGING_SECONDS_MAX = 1_800;
const BATCH = 200;
const IS_RECORDED = `exists (
  select from ${ARTIFACT_VIEW} artifact where artifact.sha256 = arrival.sha256 and not deleted)`;

type Noted = { sha256: string; noted_at: string; may_still_come: boolean };

@Injectable()
export class BlobArrivals {
  constructor(
    private readonly database: Database,
    private readonly removal: BlobRemoval,
    private readonly logger: Logger,
  ) {}

  /** W1 */
  async note(sha256: string): Promise<void> {
    await this.database.query(
      `insert into vault.blob_arrival (sha256, noted_at) values ($1, clock_timestamp())
       on conflict (sha256) do update set noted_at = excluded.noted_at`,
      [sha256],
    );
  }

  /** Removes what came so long ago and is not recorded (W2). */
  async sweep(seconds: number): Promise<void> {
    await this.forgetRecorded(seconds);
    let after = '';
    for (;;) {
      const noted = await this.unrecorded(seconds, after);
      for (const one of noted) await this.removeOne(one);
      after = noted.at(-1)?.sha256 ?? '';
      if (noted.length < BATCH) return;
    }
  }

  /** What became of them their tombstones will say: most arrivals end so, and need no lock. */
  private async forgetRecorded(seconds: number): Promise<void> {
    await this.database.query(
      `delete from vault.blob_arrival arrival where noted_at < now() - make_interval(secs => $1)
       and ${IS_RECORDED}`,
      [Math.max(seconds, BRINGING_SECONDS_MAX)],
    );
  }

  private async unrecorded(seconds: number, after: string): Promise<readonly Noted[]> {
    const { rows } = await this.database.query<Noted>(
      `select sha256, noted_at::text, noted_at >= now() - make_interval(secs => $2) as may_still_come
       from vault.blob_arrival arrival where noted_at <= now() - make_interval(secs => $1) and sha256 > $3
       and not ${IS_RECORDED} order by sha256 limit ${BATCH}`,
      [seconds, Math.max(seconds, BRINGING_SECONDS_MAX), after],
    );
    return rows;
  }

  private async removeOne({ sha256, noted_at, may_still_come }: Noted): Promise<void> {
    try {
      await this.removal.remove(sha256);
      if (may_still_come) return;
      // Unless it has been noted anew meanwhile.
      await this.database.query('delete from vault.blob_arrival where sha256 = $1 and noted_at = $2::timestamptz', [
        sha256,
        noted_at,
      ]);
    } catch (error) {
      this.logger.warn({ msg: 'bytes without a record could not be removed, will try again', sha256, error });
    }
  }
}
