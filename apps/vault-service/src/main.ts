import { runService } from '@nexusmon/runtime';
import { VaultServiceModule } from '@nexusmon/vault-service';

await runService('vault-service', [VaultServiceModule]);
