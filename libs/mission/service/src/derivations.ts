import { Injectable } from '@nestjs/common';
import { Derived } from '@nexusmon/runtime';
import { Governance } from './dispatch/governance.client.js';
import { deadLetterProjection } from './inspection/dead-letter.projection.js';
import { ApprovalRequests } from './mission/approval-requests.js';
import { MISSION_VIEW, missionProjection } from './mission/mission.projection.js';
import { MissionLog } from './mission/mission-log.js';
import { Missions } from './mission/missions.js';
import { requestApprovals, settleApprovals } from './reactors/approvals.reactor.js';
import { withFigures } from './telemetry.js';

/** All that the mission service derives from the log. */
@Injectable()
export class MissionDerivations {
  constructor(
    derived: Derived,
    log: MissionLog,
    missions: Missions,
    approvals: ApprovalRequests,
    governance: Governance,
  ) {
    derived.addProjection(withFigures(missionProjection));
    derived.addProjection(deadLetterProjection);
    derived.addReactor(requestApprovals(log, approvals));
    derived.addReactor(settleApprovals(missions, (approval_id) => governance.approval(approval_id)));
    const due = async (mission_id: string) => {
      await log.nudge(mission_id);
    };
    derived.addClock({ name: 'mission.missions', table: MISSION_VIEW, id_column: 'mission_id', due });
  }
}
