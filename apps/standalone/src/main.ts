import { EvolutionServiceModule } from '@nexusmon/evolution-service';
import { GatewayServiceModule } from '@nexusmon/gateway-service';
import { GovernanceServiceModule } from '@nexusmon/governance-service';
import { MissionServiceModule } from '@nexusmon/mission-service';
import { runService } from '@nexusmon/runtime';
import { VaultServiceModule } from '@nexusmon/vault-service';
import { WorkerRunnerModule } from '@nexusmon/worker-service';

// The whole product in one process: the same modules that the services run one by one.
await runService('standalone', [
  MissionServiceModule,
  GovernanceServiceModule,
  VaultServiceModule,
  EvolutionServiceModule,
  WorkerRunnerModule,
  GatewayServiceModule,
]);
