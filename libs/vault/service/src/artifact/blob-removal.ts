// Removal of blobs
//
//   R1. A blob goes only when no artifact needs it, as the view in the database says once it contains the last commit
//       that the log had after the digest was locked.
//   R2. Whoever has recorded a blob is answered only when nobody is removing it and it is still there. A removal that
//       came before the record has then taken it, and whoever has the bytes puts them again.
//   R3. What a crash leaves undone is done when the tombstone is seen again.
//   R4. That a blob is to go is written down before the store is told, and stays so until the store has answered: a
//       removal that was asked for and not answered may still come. Whoever meets one carries it through.

import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { BlobStore } from '@nexusmon/artifacts';
import { EventLog } from '@nexusmon/event-log';
import { Unavailable } from '@nexusmon/messaging';
import { Checkpoints, Database, type Reactor, type Sql } from '@nexusmon/projections';
import { ArtifactList } from './artifact-list.js';
import { artifactAggregate } from './artifact.aggregate.js';
import { ARTIFACT_PROJECTION } from './artifact.projection.js';

const LOCK_MS = 5_000;
const VIEW_MS_MAX = 10_000;
const POLL_MS = 50;

/** Locks are numbers of 64 bits. That two digests share one costs them a wait. */
const lockOf = (sha256: string): string => BigInt.asIntN(64, BigInt(`0x${sha256.slice(0, 16)}`)).toString();

@Injectable()
export class BlobRemoval {
  private readonly checkpoints = new Checkpoints('vault', ARTIFACT_PROJECTION);
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly log: EventLog,
    private readonly blobs: BlobStore,
    private readonly database: Database,
    private readonly list: ArtifactList,
  ) {}

  /** Unless it is needed. One at a time: each holds a connection. */
  remove(sha256: string): Promise<void> {
    const removed = this.last.then(() => this.removeNow(sha256));
    this.last = Promise.allSettled([removed]);
    return removed;
  }

  /** Whether the blob is there, and is not about to go (R2). Asked once the log has the record that needs it. */
  async isKept(sha256: string): Promise<boolean> {
    const late_ms = performance.now() + LOCK_MS;
    for (;;) {
      // In this order: a removal that has let go of the lock between its two steps has left its mark.
      if (await this.isUnlocked(sha256)) {
        if (!(await this.isMarked(sha256))) return (await this.blobs.size(sha256)) !== undefined;
        await this.remove(sha256); // R4
      }
      if (performance.now() > late_ms) throw new Unavailable('vault', 'the blob is being removed');
      await pause(POLL_MS);
    }
  }

  /** Removals begin after this, if at all, and will see what is in the log by now. */
  private async isUnlocked(sha256: string): Promise<boolean> {
    const { rows } = await this.database.query<{ free: boolean }>(
      'select pg_try_advisory_xact_lock_shared($1::bigint) as free',
      [lockOf(sha256)],
    );
    return rows[0]?.free === true;
  }

  private async isMarked(sha256: string, sql: Sql = this.database): Promise<boolean> {
    const { rows } = await sql.query('select from vault.blob_removing where sha256 = $1', [sha256]);
    return rows.length > 0;
  }

  private async removeNow(sha256: string): Promise<void> {
    if (!(await this.locked(sha256, (sql) => this.mark(sha256, sql)))) return;
    await this.locked(sha256, async (sql) => {
      // Somebody else may have carried it through in between, and others may have put the bytes again.
      if (!(await this.isMarked(sha256, sql))) return;
      await this.blobs.remove(sha256);
      await sql.query('delete from vault.blob_pieces where sha256 = $1', [sha256]);
      await sql.query('delete from vault.blob_removing where sha256 = $1', [sha256]);
    });
  }

  /** Whether the blob is to go: nobody needs it (R1), or a removal has not been answered yet (R4). */
  private async mark(sha256: string, sql: Sql): Promise<boolean> {
    if (await this.isMarked(sha256, sql)) return true;
    await this.untilViewIsWhole(sql);
    if (await this.list.needs(sha256, sql)) return false;
    await sql.query('insert into vault.blob_removing (sha256) values ($1)', [sha256]);
    return true;
  }

  private locked<Value>(sha256: string, work: (sql: Sql) => Promise<Value>): Promise<Value> {
    return this.database.transaction(async (sql) => {
      await sql.query(`set local lock_timeout = ${LOCK_MS}`);
      await sql.query('select pg_advisory_xact_lock($1::bigint)', [lockOf(sha256)]);
      return work(sql);
    });
  }

  /** By the checkpoint that stands in the database: what is in memory may be of rows that a crash took back. */
  private async untilViewIsWhole(sql: Sql): Promise<void> {
    const wanted = await this.log.lastOfKind(artifactAggregate);
    const late_ms = performance.now() + VIEW_MS_MAX;
    for (;;) {
      const reached = await this.checkpoints.read(sql);
      const isWhole = [...wanted].every(([number, { incarnation, sequence }]) =>
        reached.some((at) => at.stream === number && at.incarnation === incarnation && at.sequence >= sequence),
      );
      if (isWhole) return;
      if (performance.now() > late_ms) throw new Unavailable('vault', 'the view of artifacts lags behind the log');
      await pause(POLL_MS);
    }
  }
}

/** The bytes go after their last tombstone (R3). */
export const removeBlobs = (removal: BlobRemoval): Reactor => ({
  name: 'vault.remove_blobs',
  context: 'vault',
  reads: [artifactAggregate],
  events: ['ArtifactDeleted'],
  react: ({ data }) => removal.remove(String(data['sha256'])),
});
