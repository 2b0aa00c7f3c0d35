import { Migration } from '@nexusmon/projections';

/** What was uploaded has no mission and no task, and is found by its command. The view is filled again from the log. */
export class ArtifactUploads extends Migration {
  override up(): void {
    this.addSql(`
delete from vault.artifact_view;
delete from vault.artifact_input;
delete from vault.checkpoint where name = 'vault.artifact';
alter table vault.artifact_view alter column mission_id drop not null;
alter table vault.artifact_view alter column task_id drop not null;
alter table vault.artifact_view add column upload_command text;
create index on vault.artifact_view (upload_command) where upload_command is not null;`);
  }
}
