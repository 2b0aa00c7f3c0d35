import { aggregateProjection } from '@nexusmon/projections';
import { awaitedApprovals, exists, isActive, nextDueAt, readyTasks, runningTasks } from '@nexusmon/mission-domain';
import type { ExistingMission, Mission } from '@nexusmon/mission-domain';
import { foldCase } from './goal-text.js';
import { missionAggregate } from './mission.aggregate.js';

export const MISSION_VIEW = 'mission.mission_view';
/** What lists are filtered by, in narrow rows. */
export const MISSION_LIST_VIEW = 'mission.mission_list_view';
export const MISSION_GOAL_VIEW = 'mission.mission_goal_view';

const existing = (state: Mission): ExistingMission => {
  if (!exists(state)) throw new Error('a mission has events and is absent');
  return state;
};

const listed = (state: ExistingMission) => ({
  status: state.status,
  category: state.request.category,
  rank: state.plan.rank,
  effective_rank: state.plan.effective_rank,
  requested_by: state.request.requested_by,
  template: state.request.template ?? null,
  tags: state.request.tags,
  awaits_approval: awaitedApprovals(state).length > 0,
  flagged: state.verdict?.outcome === 'execute_and_flag',
});

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
  beside: [
    { table: MISSION_LIST_VIEW, columns: (state, { created_at }) => ({ created_at, ...listed(existing(state)) }) },
    { table: MISSION_GOAL_VIEW, columns: (state) => ({ goal: foldCase(existing(state).request.goal) }) },
  ],
});
