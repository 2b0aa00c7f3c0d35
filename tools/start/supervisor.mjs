// What the bootstrap turns into: the supervisor as it was built, with what it was started for.

import { main } from '../../libs/platform/stack/dist/supervisor-main.js';

const { NEXUSMON_START: settings, ...environment } = process.env;
await main({ ...JSON.parse(settings), environment });
