import { checkpointDdl, Migration } from '@nexusmon/projections';
import { ARTIFACT_VIEW_DDL } from '../artifact/artifact.projection.js';

export class ArtifactView extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('vault') + ARTIFACT_VIEW_DDL);
  }
}
