import { Migration } from '@nexusmon/projections';

/** The trace in which the mission was created: everything that is done for it belongs to that one. */
export class MissionTrace extends Migration {
  override up(): void {
    this.addSql('alter table mission.mission_view add column traceparent text;');
  }
}
