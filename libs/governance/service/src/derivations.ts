import { Injectable } from '@nestjs/common';
import { missionEvents } from '@nexusmon/mission-contract';
import { Database, type Reactor } from '@nexusmon/projections';
import { Derived } from '@nexusmon/runtime';
import { APPROVAL_VIEW, approvalProjection } from './approval/approval.projection.js';
import { Approvals } from './approval/approvals.js';
import { reviewProjection } from './review/review.projection.js';
import { ApprovalFigures } from './telemetry.js';

/** All that governance derives from the log. */
@Injectable()
export class GovernanceDerivations {
  constructor(derived: Derived, database: Database, approvals: Approvals, figures: ApprovalFigures) {
    derived.addProjection(figures.withFigures(approvalProjection));
    derived.addProjection(reviewProjection);
    derived.addReactor(withdrawOfEnded(database, approvals));
    const due = (approval_id: string) => approvals.tick(approval_id);
    derived.addClock({ name: 'governance.approvals', table: APPROVAL_VIEW, id_column: 'approval_id', due });
  }
}

/** Nobody is asked about a mission that has ended. */
const withdrawOfEnded = (database: Database, approvals: Approvals): Reactor => ({
  name: 'governance.withdraw_of_ended',
  context: 'governance',
  reads: [{ context: 'mission', name: 'mission', events: missionEvents }],
  events: ['MissionCancelled', 'MissionFailed'],
  after: [approvalProjection.name],
  react: async ({ subject }) => {
    const { rows } = await database.query<{ approval_id: string }>(
      `select approval_id from ${APPROVAL_VIEW} where mission_id = $1 and status in ('pending', 'cooling_off')`,
      [subject],
    );
    for (const { approval_id } of rows) await approvals.withdraw(approval_id, 'the mission has ended');
  },
});
