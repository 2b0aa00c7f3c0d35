import { GatewayServiceModule } from '@nexusmon/gateway-service';
import { runService } from '@nexusmon/runtime';

await runService('gateway', [GatewayServiceModule]);
