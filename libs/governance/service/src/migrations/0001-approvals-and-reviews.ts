import { aggregateViewDdl, checkpointDdl, Migration } from '@nexusmon/projections';

export class ApprovalsAndReviews extends Migration {
  override up(): void {
    this.addSql(checkpointDdl('governance'));
    this.addSql(
      aggregateViewDdl('governance.approval_view', 'approval_id', {
        status: 'text not null',
        mission_id: 'text',
        next_due_at: 'text',
      }),
    );
    this.addSql('create index on governance.approval_view (status, created_position);');
    this.addSql('create index on governance.approval_view (mission_id);');
    this.addSql('create index on governance.approval_view (next_due_at) where next_due_at is not null;');
    this.addSql(`create table governance.review_view (
      mission_id text primary key,
      rank text not null,
      decisive_rule text not null,
      flagged_at text not null,
      flagged_position bigint not null
    );`);
    this.addSql('create index on governance.review_view (flagged_position);');
  }
}
