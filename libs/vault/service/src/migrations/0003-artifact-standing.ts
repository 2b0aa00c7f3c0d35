import { Migration } from '@nexusmon/projections';

/** What is deleted or damaged, and which artifacts still need a blob. The view is filled again from the log. */
export class ArtifactStanding extends Migration {
  override up(): void {
    this.addSql(`
delete from vault.artifact_view;
delete from vault.artifact_input;
delete from vault.checkpoint where name = 'vault.artifact';
alter table vault.artifact_view add column deleted boolean not null;
alter table vault.artifact_view add column damaged boolean not null;
create index on vault.artifact_view (sha256, artifact_id) where not deleted;
create index on vault.artifact_view (position, place) where damaged;`);
  }
}
