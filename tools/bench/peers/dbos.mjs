// DBOS Transact: a library over PostgreSQL, with a workflow in this process behind one HTTP route, as a user of it
// would have it. `node dbos.mjs <folder of the packages> <empty folder>`

import { createServer } from 'node:http';
import { join } from 'node:path';
import { startPostgres } from '../../../libs/platform/stack/dist/index.js';
import { freePort, importFrom, ready, runSteps } from './steps.mjs';

const [packages, folder] = process.argv.slice(2);
const USER = 'bench';

const port = await freePort();
const postgres = await startPostgres({
  data_dir: join(folder, 'postgres'),
  log_file: join(folder, 'postgres.log'),
  port,
  user: USER,
  password: USER,
});
const { DBOS } = await importFrom(packages, '@dbos-inc/dbos-sdk');
DBOS.setConfig({
  name: 'peers',
  systemDatabaseUrl: `postgresql://${USER}:${USER}@127.0.0.1:${port}/dbos`,
  logLevel: 'error',
  runAdminServer: false,
});
const mission = DBOS.registerWorkflow(() => runSteps((name, work) => DBOS.runStep(work, { name })), {
  name: 'mission',
});
await DBOS.launch();

const http = createServer(async (request, response) => {
  const workflowID = request.url.slice(1);
  const handle = await DBOS.startWorkflow(mission, { workflowID })();
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(await handle.getResult()));
});
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));

const stop = async () => {
  await DBOS.shutdown();
  await postgres.stop(5_000);
};
ready({ url: `http://127.0.0.1:${http.address().port}`, pids: { server: postgres.pid, worker: process.pid } }, stop);
