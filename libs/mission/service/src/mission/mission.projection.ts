import { aggregateProjection } from '@nexusmon/projections';
import { exists, isActive, nextDueAt, readyTasks, runningTasks } from '@nexusmon/mission-domain';
import { missionAggregate } from './mission.aggregate.js';

export const MISSION_VIEW = 'mission.mission_view';

export const missionProjection = aggregateProjection({
  name: 'mission.mission',
  context: 'mission',
  aggregate: missionAggregate,
  table: MISSION_VIEW,
  id_column: 'mission_id',
  columns: (state, { born }, before) => ({
    status: state.status,
    category: exists(state) ? state.request.category : null,
    effective_rank: exists(state) ? state.plan.effective_rank : null,
    active: isActive(state) && (readyTasks(state).length > 0 || runningTasks(state).length > 0),
    next_due_at: nextDueAt(state) ?? null,
    traceparent: before?.['traceparent'] ?? born?.traceparent ?? null,
  }),
});
