import { Module } from '@nestjs/common';
import { PlatformModule } from '@nexusmon/runtime';
import { MissionDerivations } from './derivations.js';
import { Claiming } from './dispatch/claiming.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { Governance } from './dispatch/governance.client.js';
import { Recovery } from './dispatch/recovery.js';
import { RunnerCommandHandler } from './dispatch/runner.command-handler.js';
import { Enclosures } from './enclosure/enclosures.js';
import { InspectionQueryHandler } from './inspection/inspection.query-handler.js';
import { ApprovalRequests } from './mission/approval-requests.js';
import { Endings } from './mission/endings.js';
import { MissionCommandHandler } from './mission/mission.command-handler.js';
import { MissionDocuments } from './mission/mission-documents.js';
import { MissionList } from './mission/mission-list.js';
import { MissionLog } from './mission/mission-log.js';
import { MissionQueryHandler } from './mission/mission.query-handler.js';
import { MissionTraces } from './mission/mission-traces.js';
import { Missions } from './mission/missions.js';
import { WorkerCatalog } from './planning/catalog.js';
import { Planner } from './planning/planner.js';
import { Outputs } from './vault/outputs.js';
import { Vault } from './vault/vault.client.js';

/** Missions with their tasks: planning, dispatch, timers. */
@Module({
  imports: [PlatformModule.forContext('mission')],
  controllers: [InspectionQueryHandler, MissionCommandHandler, MissionQueryHandler, RunnerCommandHandler],
  providers: [
    ApprovalRequests,
    Claiming,
    Dispatcher,
    Enclosures,
    Endings,
    Governance,
    MissionDerivations,
    MissionDocuments,
    MissionList,
    MissionLog,
    Missions,
    MissionTraces,
    Outputs,
    Planner,
    Recovery,
    Vault,
    WorkerCatalog,
  ],
})
export class MissionServiceModule {}
