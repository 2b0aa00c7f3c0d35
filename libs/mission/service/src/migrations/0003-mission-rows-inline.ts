import { Migration } from '@nexusmon/projections';

/** A mission's state is some kilobytes and written several times: in the row itself it costs half of what it costs aside. */
export class MissionRowsInline extends Migration {
  override up(): void {
    this.addSql('alter table mission.mission_view set (toast_tuple_target = 8160);');
  }
}
