import { Migration } from '@nexusmon/projections';
import { GRANT_DDL } from '../grant/grant.projection.js';
import { PROGRESS_DDL } from '../progress/progress.projection.js';
import { STAGE_CHANGE_DDL } from '../stage/stage.projection.js';

/** Reviews take back what was given, and stages are events: progress is reckoned anew, from the log. */
export class StagesAndGrants extends Migration {
  override up(): void {
    this.addSql('drop table evolution.mission_view, evolution.fingerprint_view, evolution.total_view;');
    this.addSql(PROGRESS_DDL);
    this.addSql(GRANT_DDL);
    this.addSql(STAGE_CHANGE_DDL);
    this.addSql(`delete from evolution.checkpoint where name = 'evolution.progress';`);
  }
}
