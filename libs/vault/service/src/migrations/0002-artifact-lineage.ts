import { Migration } from '@nexusmon/projections';

/**
 * What artifacts were made from, more to find them by, and the digests of the pieces of large blobs. The view is filled
 * again from the log, because its rows hold more than before.
 */
export class ArtifactLineage extends Migration {
  override up(): void {
    this.addSql(`
delete from vault.artifact_view;
delete from vault.checkpoint where name = 'vault.artifact';
alter table vault.artifact_view add column task_id text not null;
alter table vault.artifact_view add column kind text not null;
create index on vault.artifact_view (kind, position, place);
create table vault.artifact_input (
  artifact_id text not null,
  input_id text not null,
  primary key (artifact_id, input_id)
);
create index on vault.artifact_input (input_id, artifact_id);
create table vault.blob_pieces (
  sha256 text primary key,
  digests bytea not null
);`);
  }
}
