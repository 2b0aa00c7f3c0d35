import { aggregateViewDdl, checkpointDdl, Migration } from '@nexusmon/projections';

/** `active`: whether the dispatcher has anything to do with the mission. */
export class MissionView extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('mission'));
    this.addSql(
      aggregateViewDdl('mission.mission_view', 'mission_id', {
        status: 'text not null',
        category: 'text',
        effective_rank: 'text',
        active: 'boolean not null',
        next_due_at: 'text',
      }),
    );
    this.addSql('create index on mission.mission_view (status, created_position);');
    this.addSql('create index on mission.mission_view (next_due_at) where next_due_at is not null;');
    this.addSql('create index on mission.mission_view (mission_id) where active;');
  }
}
