import { aggregateProjection, aggregateViewDdl } from '@nexusmon/projections';
import { grantAggregate } from './grant.aggregate.js';

export const GRANT_VIEW = 'evolution.grant_view';
export const GRANT_DDL = aggregateViewDdl(GRANT_VIEW, 'grant_id', { status: 'text not null' });

export const grantProjection = aggregateProjection({
  name: 'evolution.grant',
  context: 'evolution',
  aggregate: grantAggregate,
  table: GRANT_VIEW,
  id_column: 'grant_id',
  columns: ({ status }) => ({ status }),
});
