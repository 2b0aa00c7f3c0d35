import { Migration } from '@nexusmon/projections';
import { TOKEN_VIEW_DDL } from '../access/token.projection.js';

export class TokenView extends Migration {
  override up(): void {
    this.addSql(TOKEN_VIEW_DDL);
  }
}
