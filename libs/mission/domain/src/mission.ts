// Mission
//
// An operator's intent with the plan that pursues it. Its tasks live in it, so that one decision sees all of them.
//
//   M1. A mission is created once. Neither its request nor its plan changes afterwards.
//   M2. A verdict counts only for this mission, this plan and this effective rank, which is never below the risk of a
//       task. At A and S no verdict is believed that would start anything by itself.
//   M3. A task starts only in a queued, running or verifying mission, after everything it depends on has completed,
//       under a permit that was made for exactly this attempt and has not expired.
//   M4. At A and S no task starts without a recorded grant. A task with a gate of its own needs its own grant; so does
//       an input at A or S that holds earlier outputs, unless the mission's grant covers its shape.
//   M5. A grant or a refusal counts only for the approval that is awaited, and for the digest it was asked for.
//   M6. The attempt numbers of a task only rise. A result counts only from the running attempt, and so only once.
//   M7. Only the worker's own failure or time-out uses up a try. There are never more tries than the plan allows.
//   M8. A mission completes only after all its tasks have, and verifies only while nothing but verifying tasks is left.
//   M9. An ended mission stays as it ended. No task of it runs, and no event follows.
//  M10. Time acts through Tick alone; a Tick before anything is due changes nothing.
//  M11. Parameters and inputs are in the events or in the enclosure: all of them in the one or all in the other.

import { accept, nothing, reject, type Decider } from '@nexusmon/kernel';
import type { MissionEvent } from '@nexusmon/mission-contract';
import { isWhole } from './enclosing.js';
import { illegalTransition, recordGrant, recordRefusal } from './mission.approvals.js';
import type { CommandOf, MissionCommand, MissionDecision, MissionRejection } from './mission.commands.js';
import { evolve } from './mission.evolve.js';
import { exists, type ExistingMission, type Mission } from './mission.state.js';
import { releaseTask, reportTask, tick } from './mission.attempts.js';
import { claimTask, gateTask, refuseTask } from './mission.tasks.js';
import { isBelow, needsGrant } from './rank.js';

const decide = (command: MissionCommand, state: Mission): MissionDecision => {
  if (command.type === 'CreateMission') return create(command, state);
  if (!exists(state)) return reject({ code: 'mission-not-found' });
  switch (command.type) {
    case 'RunMission':
      return run(command, state);
    case 'RecordGrant':
      return recordGrant(command, state);
    case 'RecordRefusal':
      return recordRefusal(command, state);
    case 'CancelMission':
      return cancel(command, state);
    case 'ClaimTask':
      return claimTask(command, state);
    case 'GateTask':
      return gateTask(command, state);
    case 'RefuseTask':
      return refuseTask(command, state);
    case 'ReportTask':
      return reportTask(command, state);
    case 'ReleaseTask':
      return releaseTask(command, state);
    case 'Tick':
      return tick(command, state);
  }
};

const create = ({ actor, time, data }: CommandOf<'CreateMission'>, state: Mission): MissionDecision => {
  const { request, plan, verdict, approval_id } = data;
  // The same request may be planned differently a second time, after a worker was upgraded: the first plan stands.
  if (exists(state)) return isSame(state.request, request) ? nothing : reject({ code: 'mission-exists' });

  const understated = plan.tasks.some(({ risk_level }) => isBelow(plan.effective_rank, risk_level));
  if (understated || isBelow(plan.effective_rank, plan.rank))
    return reject({ code: 'plan-underrated', effective_rank: plan.effective_rank });
  if (!isWhole(request, plan)) return reject({ code: 'plan-incomplete' });
  const mismatch = verdictMismatch(verdict.claims, request.mission_id, plan);
  if (mismatch) return reject({ code: 'verdict-mismatch', field: mismatch });
  const asks = verdict.claims.outcome === 'needs_approval';
  if (asks && approval_id === undefined) return reject({ code: 'approval-mismatch' });

  return accept(
    { type: 'MissionCreated', actor, time, data: request },
    { type: 'MissionPlanned', actor, time, data: plan },
    {
      type: 'MissionGated',
      actor,
      time,
      data: asks && approval_id !== undefined ? { verdict, approval_id } : { verdict },
    },
    ...(asks || verdict.claims.outcome === 'blocked' ? [] : [opening(request.hold, actor, time)]),
  );
};

const opening = (held: boolean, actor: string, time: string): MissionEvent =>
  held ? { type: 'MissionHeld', actor, time, data: {} } : { type: 'MissionQueued', actor, time, data: {} };

type Verdict = CommandOf<'CreateMission'>['data']['verdict'];
type JudgedPlan = Pick<CommandOf<'CreateMission'>['data']['plan'], 'plan_digest' | 'effective_rank'>;

/** The field by which a verdict is about something else (M2). */
const verdictMismatch = (claims: Verdict['claims'], mission_id: string, plan: JudgedPlan): string | undefined => {
  if (claims.mission_id !== mission_id) return 'mission_id';
  if (claims.plan_digest !== plan.plan_digest) return 'plan_digest';
  if (claims.effective_rank !== plan.effective_rank) return 'effective_rank';
  const starts = claims.outcome === 'execute' || claims.outcome === 'execute_and_flag';
  return starts && needsGrant(plan.effective_rank) ? 'outcome' : undefined;
};

const run = ({ actor, time, data }: CommandOf<'RunMission'>, state: ExistingMission): MissionDecision => {
  const lift: readonly MissionEvent[] = state.held ? [{ type: 'MissionHoldLifted', actor, time, data: {} }] : [];
  if (state.status === 'suggested') return reject(illegalTransition(state));
  if (state.status === 'awaiting_approval')
    // The grant itself comes from governance; what `run` says here is that it shall start the mission.
    return data.sovereign ? accept(...lift) : reject({ code: 'operator-key-required' });
  if (state.status !== 'accepted') return nothing;

  const { verdict, approval_id } = data;
  if (verdict === undefined) return reject({ code: 'verdict-required' });
  const mismatch = verdictMismatch(verdict.claims, state.request.mission_id, state.plan);
  if (mismatch) return reject({ code: 'verdict-mismatch', field: mismatch });
  const gated = (asked?: string): MissionEvent => ({
    type: 'MissionGated',
    actor,
    time,
    data: asked === undefined ? { verdict } : { verdict, approval_id: asked },
  });
  const queued: MissionEvent = { type: 'MissionQueued', actor, time, data: {} };
  switch (verdict.claims.outcome) {
    case 'blocked':
      return accept(...lift, gated());
    case 'execute':
    case 'execute_and_flag':
      return accept(...lift, gated(), queued);
    case 'needs_approval':
      if (state.approval?.status === 'granted') return accept(...lift, gated(), queued);
      return approval_id === undefined ? reject({ code: 'approval-mismatch' }) : accept(...lift, gated(approval_id));
  }
};

const cancel = ({ actor, time, data }: CommandOf<'CancelMission'>, state: ExistingMission): MissionDecision => {
  if (state.status === 'cancelled') return nothing;
  if (state.status === 'completed' || state.status === 'failed') return reject(illegalTransition(state));
  return accept({ type: 'MissionCancelled', actor, time, data: { outcome: 'cancelled', ...data } });
};

const isSame = (one: unknown, other: unknown): boolean => {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other;
  const [left, right] = [Object.entries(one), new Map(Object.entries(other))];
  return left.length === right.size && left.every(([key, value]) => right.has(key) && isSame(value, right.get(key)));
};

export const mission: Decider<Mission, MissionCommand, MissionEvent, MissionRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};
