import { Migration } from '@nexusmon/projections';
import { DEAD_LETTER_DDL } from '../inspection/dead-letter.projection.js';

export class DeadLetters extends Migration {
  override up(): void {
    this.addSql(DEAD_LETTER_DDL);
  }
}
