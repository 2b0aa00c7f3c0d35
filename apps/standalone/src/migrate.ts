// Brings every context's schema up to date, as `admin`, before any service starts.

import { evolutionMigrations } from '@nexusmon/evolution-service';
import { accessMigrations } from '@nexusmon/gateway-service';
import { governanceMigrations } from '@nexusmon/governance-service';
import { missionMigrations } from '@nexusmon/mission-service';
import { runMigrations } from '@nexusmon/runtime';
import { vaultMigrations } from '@nexusmon/vault-service';

await runMigrations({
  access: accessMigrations,
  evolution: evolutionMigrations,
  governance: governanceMigrations,
  mission: missionMigrations,
  vault: vaultMigrations,
});
