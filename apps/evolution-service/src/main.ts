import { EvolutionServiceModule } from '@nexusmon/evolution-service';
import { runService } from '@nexusmon/runtime';

await runService('evolution-service', [EvolutionServiceModule]);
