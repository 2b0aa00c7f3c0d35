import { checkpointDdl, Migration } from '@nexusmon/projections';

export class ArtifactView extends Migration {
  override up(): void {
    this.addSql(`${checkpointDdl('vault')}
create table vault.artifact_view (
  artifact_id text primary key,
  name text not null,
  version integer not null,
  mission_id text not null,
  sha256 text not null,
  position bigint not null,
  place integer not null,
  position_text text not null,
  document jsonb not null
);
create index on vault.artifact_view (position, place);
create index on vault.artifact_view (mission_id, position, place);
create index on vault.artifact_view (name, version);`);
  }
}
