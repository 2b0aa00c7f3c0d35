// Says in a log that has just been put back that it was, by whom and why: its first new commit. What is to be said
// stands in the file that is named. It comes up as governance does, so the log has passed the checks of a start before.

import { readConfig } from '@nexusmon/config';
import { GovernanceServiceModule, Restorations } from '@nexusmon/governance-service';
import { startService } from '@nexusmon/runtime';

const [, , file = ''] = process.argv;
const service = await startService('record-restoration', readConfig(), [GovernanceServiceModule]);
try {
  await service.app.get(Restorations, { strict: false }).recordFrom(file);
} finally {
  await service.stop();
}
process.exit(0);
