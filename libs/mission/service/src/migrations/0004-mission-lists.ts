import { Migration } from '@nexusmon/projections';

/** Of missions that are there already: what the projection would have written. */
export const FILL_FROM_STATE = [
  `insert into mission.mission_list_view
    select mission_id, created_position, created_at, status,
      state->'request'->>'category', state->'plan'->>'rank', state->'plan'->>'effective_rank',
      state->'request'->>'requested_by', state->'request'->>'template',
      array(select jsonb_array_elements_text(state->'request'->'tags')),
      status = 'awaiting_approval' and state ? 'approval' or exists (
        select from jsonb_array_elements(state->'tasks') task
        where task->'progress'->>'status' = 'awaiting_approval' and task ? 'approval'),
      coalesce(state->'verdict'->>'outcome' = 'execute_and_flag', false)
    from (select mission_id, created_position, created_at, status, state::jsonb as state from mission.mission_view) m;`,
  `insert into mission.mission_goal_view
    select mission_id, created_position, state->'request'->>'goal' from mission.mission_view;`,
];

/**
 * What missions are looked for by, beside their state: rows of some kilobytes are read for the page alone. The goal
 * lies apart, since it never changes and its index is dear to write.
 */
export class MissionLists extends Migration {
  override up(): void {
    this.addSql('create extension if not exists pg_trgm with schema public;');
    this.addSql(`create table mission.mission_list_view (
      mission_id text primary key,
      created_position bigint not null,
      created_at text not null,
      status text not null,
      category text not null,
      rank text not null,
      effective_rank text not null,
      requested_by text not null,
      template text,
      tags text[] not null,
      awaits_approval boolean not null,
      flagged boolean not null
    );`);
    this.addSql(`create table mission.mission_goal_view (
      mission_id text primary key,
      created_position bigint not null,
      goal text not null
    );`);
    for (const statement of FILL_FROM_STATE) this.addSql(statement);
    this.addIndexes();
  }

  private addIndexes(): void {
    for (const column of ['status', 'category', 'rank', 'effective_rank', 'requested_by', 'template'])
      this.addSql(`create index on mission.mission_list_view (${column}, created_position);`);
    for (const column of ['created_position', 'created_at'])
      this.addSql(`create index on mission.mission_list_view (${column});`);
    for (const column of ['awaits_approval', 'flagged'])
      this.addSql(`create index on mission.mission_list_view (created_position) where ${column};`);
    this.addSql('create index on mission.mission_list_view using gin (tags);');
    this.addSql('create index on mission.mission_goal_view (created_position);');
    // What waits to be sorted into the index is looked through by every search.
    this.addSql(`create index on mission.mission_goal_view using gin (goal public.gin_trgm_ops)
      with (gin_pending_list_limit = 256);`);
    // Lists no longer go by the wide rows.
    this.addSql('drop index mission.mission_view_created_position_idx;');
    this.addSql('drop index mission.mission_view_status_created_position_idx;');
  }
}
