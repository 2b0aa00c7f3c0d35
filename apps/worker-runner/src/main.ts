import { runService } from '@nexusmon/runtime';
import { WorkerRunnerModule } from '@nexusmon/worker-service';

await runService('worker-runner', [WorkerRunnerModule]);
