import { checkpointDdl, Migration } from '@nexusmon/projections';
import { SESSION_VIEW_DDL } from '../access/session.projection.js';

export class SessionView extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('access') + SESSION_VIEW_DDL);
  }
}
