import { Migration } from '@nexusmon/projections';

/** A mission's state is some kilobytes and written several times: it costs less in the row itself than beside it. */
export class MissionRowsInline extends Migration {
  override up(): void {
    this.addSql('alter table mission.mission_view set (toast_tuple_target = 8160);');
  }
}
