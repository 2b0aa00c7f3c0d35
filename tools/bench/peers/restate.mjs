// Restate: its server as npm has it, in its default configuration (a synced log, 24 partitions), and a workflow in this
// process. `node restate.mjs <folder of the packages> <empty folder>`

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, importFrom, ready, runSteps } from './steps.mjs';

const [packages, folder] = process.argv.slice(2);
const START_MS_MAX = 60_000;

const [ingress, admin, node, service] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
const installed = createRequire(join(packages, 'package.json'));
const platform = `@restatedev/restate-server-${process.platform}-${process.arch}/package.json`;
const server = spawn(
  join(dirname(installed.resolve(platform)), 'bin', 'restate-server'),
  ['--no-logo', '--base-dir', folder],
  {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      RESTATE_DISABLE_TELEMETRY: 'true',
      RESTATE_LOG_FILTER: 'error',
      RESTATE_BIND_IP: '127.0.0.1',
      RESTATE_LISTEN_MODE: 'tcp',
      RESTATE_BIND_PORT: String(node),
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
    },
  },
);
const stop = async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
};
server.once('exit', (code) => code !== null && process.exit(1));

process.env.RESTATE_LOGGING = 'ERROR';
const restate = await importFrom(packages, '@restatedev/restate-sdk');
const mission = restate.workflow({
  name: 'Mission',
  handlers: { run: (context) => runSteps((name, work) => context.run(name, work)) },
});
await restate.serve({ services: [mission], port: service });

const isRegistered = async () => {
  try {
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
    });
    return answer.ok;
  } catch (error) {
    if (error instanceof TypeError) return false; // Nobody listens yet.
    throw error;
  }
};
for (const deadline = Date.now() + START_MS_MAX; !(await isRegistered()); await sleep(50))
  if (Date.now() > deadline) throw new Error('restate-server did not take the deployment');

ready({ url: `http://127.0.0.1:${ingress}`, pids: { server: server.pid, worker: process.pid } }, stop);
