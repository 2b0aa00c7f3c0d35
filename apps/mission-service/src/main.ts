import { MissionServiceModule } from '@nexusmon/mission-service';
import { runService } from '@nexusmon/runtime';

await runService('mission-service', [MissionServiceModule]);
