import { Module } from '@nestjs/common';
import { PlatformModule } from '@nexusmon/runtime';
import { ApprovalCommandHandler } from './approval/approval.command-handler.js';
import { ApprovalQueryHandler } from './approval/approval.query-handler.js';
import { Approvals } from './approval/approvals.js';
import { GovernanceDerivations } from './derivations.js';
import { Gate } from './gate/gate.js';
import { GateQueryHandler } from './gate/gate.query-handler.js';
import { Signer } from './gate/signer.js';
import { Restorations } from './restoration/restorations.js';
import { ReviewRequestHandler } from './review/review.request-handler.js';
import { Reviews } from './review/reviews.js';
import { ApprovalFigures } from './telemetry.js';
import { WaitingQueryHandler } from './waiting.query-handler.js';

/** Verdicts, permits, approvals and the list of what to review. */
@Module({
  imports: [PlatformModule.forContext('governance')],
  controllers: [
    ApprovalCommandHandler,
    ApprovalQueryHandler,
    GateQueryHandler,
    ReviewRequestHandler,
    WaitingQueryHandler,
  ],
  providers: [ApprovalFigures, Approvals, Gate, GovernanceDerivations, Restorations, Reviews, Signer],
})
export class GovernanceServiceModule {}
