import { checkpointDdl, Migration } from '@nexusmon/projections';

export class ProgressViews extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('evolution'));
    this.addSql(`
create table evolution.mission_view (
  mission_id text primary key,
  fingerprint text not null,
  novelty double precision not null,
  xp double precision not null,
  completed_at text not null
);
create table evolution.fingerprint_view (
  fingerprint text primary key,
  missions integer not null
);
create table evolution.total_view (
  name text primary key,
  count double precision not null,
  xp double precision not null,
  verified_missions integer not null
);`);
  }
}
