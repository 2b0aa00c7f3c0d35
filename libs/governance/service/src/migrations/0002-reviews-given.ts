import { Migration } from '@nexusmon/projections';
import { REVIEW_VIEW, REVIEW_VIEW_DDL } from '../review/review.projection.js';

/** Reviews can be given: the view is made anew from the log. */
export class ReviewsGiven extends Migration {
  override up(): void {
    this.addSql(`drop table ${REVIEW_VIEW};`);
    this.addSql(REVIEW_VIEW_DDL);
    this.addSql(`delete from governance.checkpoint where name = 'governance.review';`);
  }
}
