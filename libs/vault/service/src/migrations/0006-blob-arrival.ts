import { Migration } from '@nexusmon/projections';

/** Digests under which bytes may come to lie that no artifact has yet. Not derived from the log. */
export class BlobArrival extends Migration {
  override up(): void {
    this.addSql('create table vault.blob_arrival (sha256 text primary key, noted_at timestamptz not null);');
  }
}
