import { Migration } from '@nexusmon/projections';

/** Blobs that are to go and may go at any moment, whoever asked for it. Not derived from the log. */
export class BlobRemoving extends Migration {
  override up(): void {
    this.addSql('create table vault.blob_removing (sha256 text primary key);');
  }
}
