import { approvalEvents, type ApprovalDocument } from '@nexusmon/governance-contract';
import type { Reactor } from '@nexusmon/projections';
import type { ApprovalRequests } from '../mission/approval-requests.js';
import { missionAggregate } from '../mission/mission.aggregate.js';
import type { MissionLog } from '../mission/mission-log.js';
import type { Missions } from '../mission/missions.js';

/** Asks for every approval that a mission awaits. The request that made it await has usually done so already. */
export const requestApprovals = (missions: MissionLog, approvals: ApprovalRequests): Reactor => ({
  name: 'mission.request_approvals',
  context: 'mission',
  reads: [missionAggregate],
  events: ['MissionGated', 'TaskGated'],
  react: async ({ subject, data }) => {
    // Most missions are gated without anybody being asked: for those there is nothing to look up.
    if (data['approval_id'] === undefined) return;
    const { state, key_id } = await missions.load(subject);
    await approvals.requestAll(state, key_id);
  },
});

/** Moves a mission as governance has decided. The request that decided has usually done so already. */
export const settleApprovals = (
  missions: Missions,
  approvalOf: (approval_id: string) => Promise<ApprovalDocument>,
): Reactor => ({
  name: 'mission.settle_approvals',
  context: 'mission',
  reads: [{ context: 'governance', name: 'approval', events: approvalEvents }],
  events: ['ApprovalGranted', 'ApprovalDenied', 'ApprovalExpired', 'ApprovalWithdrawn'],
  react: async ({ subject }) => {
    const reply = await missions.settle(await approvalOf(subject));
    if (reply.kind === 'unavailable') throw new Error(`mission of ${subject}: ${reply.unavailable.detail}`);
    // A refusal means that the mission has gone another way meanwhile: there is nothing left to move.
  },
});
