import { nextDueAt } from '@nexusmon/governance-domain';
import { aggregateProjection } from '@nexusmon/projections';
import { approvalAggregate } from './approval.aggregate.js';

export const APPROVAL_VIEW = 'governance.approval_view';

export const approvalProjection = aggregateProjection({
  name: 'governance.approval',
  context: 'governance',
  aggregate: approvalAggregate,
  table: APPROVAL_VIEW,
  id_column: 'approval_id',
  columns: (state) => ({
    status: state.status,
    mission_id: state.status === 'absent' ? null : state.request.mission_id,
    next_due_at: nextDueAt(state) ?? null,
  }),
});
