import { checkpointDdl, Migration } from '@nexusmon/projections';
import { PROGRESS_DDL } from '../progress/progress.projection.js';

export class ProgressViews extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('evolution') + PROGRESS_DDL);
  }
}
