// How a mission takes note of what governance decided about its approvals (M5).

import { accept, nothing, reject } from '@nexusmon/kernel';
import type { MissionEvent, MissionVerb } from '@nexusmon/mission-contract';
import type { CommandOf, MissionDecision, MissionRejection } from './mission.commands.js';
import { awaitedApprovals, taskOf, type ExistingMission } from './mission.state.js';

/** What an operator can do to the mission as it stands. */
export const possibleVerbs = (state: ExistingMission): readonly MissionVerb[] => {
  switch (state.status) {
    case 'accepted':
      return ['run', 'cancel'];
    case 'awaiting_approval':
      return ['run', 'approve', 'deny', 'cancel'];
    case 'suggested':
      return ['cancel'];
    case 'queued':
    case 'running':
    case 'verifying':
      return awaitedApprovals(state).length > 0 ? ['approve', 'deny', 'cancel'] : ['cancel'];
    case 'completed':
    case 'failed':
    case 'cancelled':
      return [];
  }
};

export const illegalTransition = (state: ExistingMission): MissionRejection => ({
  code: 'illegal-transition',
  status: state.status,
  possible: possibleVerbs(state),
});

const isAwaited = (state: ExistingMission, approval_id: string, task_id?: string): boolean =>
  awaitedApprovals(state).some((awaited) => awaited.approval_id === approval_id && awaited.task_id === task_id);

/** Nothing is awaited at all, or something else is. */
const unexpected = (state: ExistingMission): MissionDecision =>
  reject(awaitedApprovals(state).length === 0 ? illegalTransition(state) : { code: 'approval-mismatch' });

export const recordGrant = (
  { actor, time, data }: CommandOf<'RecordGrant'>,
  state: ExistingMission,
): MissionDecision => {
  const { approval_id, granted_by, shape, plan_digest } = data;
  if (plan_digest !== state.plan.plan_digest) return reject({ code: 'approval-mismatch' });
  if (data.task_id !== undefined) return recordTaskGrant({ actor, time }, data, data.task_id, state);
  const { approval } = state;
  if (approval?.status === 'granted' && approval.approval_id === approval_id) return nothing;
  if (!isAwaited(state, approval_id)) return unexpected(state);
  return accept<MissionEvent>(
    { type: 'MissionApproved', actor, time, data: { approval_id, granted_by, shape, plan_digest } },
    { type: state.held ? 'MissionHeld' : 'MissionQueued', actor, time, data: {} },
  );
};

const recordTaskGrant = (
  by: Readonly<{ actor: string; time: string }>,
  { approval_id, granted_by, effect_digest }: CommandOf<'RecordGrant'>['data'],
  task_id: string,
  state: ExistingMission,
): MissionDecision => {
  const task = taskOf(state, task_id);
  if (!task) return reject({ code: 'task-not-found', task_id });
  const { approval } = task;
  if (approval?.approval_id === approval_id && approval.granted_by !== undefined) return nothing;
  if (!isAwaited(state, approval_id, task_id)) return unexpected(state);
  if (approval === undefined || approval.effect_digest !== effect_digest) return reject({ code: 'approval-mismatch' });
  return accept({ type: 'TaskApproved', ...by, data: { task_id, approval_id, granted_by, effect_digest } });
};

export const recordRefusal = (
  { actor, time, data }: CommandOf<'RecordRefusal'>,
  state: ExistingMission,
): MissionDecision => {
  const { approval_id } = data;
  const { approval } = state;
  if (approval?.status === 'refused' && approval.approval_id === approval_id) return nothing;
  if (!awaitedApprovals(state).some((awaited) => awaited.approval_id === approval_id)) return unexpected(state);
  return accept({ type: 'MissionCancelled', actor, time, data });
};
