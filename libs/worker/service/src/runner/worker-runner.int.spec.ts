// The runner as a process runs it, over real NATS; mission-service is played by mission-desk.fixture.ts at the other
// end of the wire, permits are signed with governance's real key.

import { createPrivateKey } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/nats-core';
import { readConfig, readSecrets } from '@nexusmon/config';
import { connectNats } from '@nexusmon/messaging';
import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import { startService, type RunningService } from '@nexusmon/runtime';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { pollRequest, reportRequest } from '@nexusmon/worker-contract';
import { assignmentOf } from './assignment.fixture.js';
import { DeskFixture } from './mission-desk.fixture.js';
import { loadManifests } from './worker-catalogue.js';
import { WorkerRunnerModule } from './worker-runner.module.js';

const HOSTILE = fileURLToPath(new URL('hostile-workers.fixture.mjs', import.meta.url));
// Servers of its own: whoever else has a runner on them would be handed these assignments.
const servers = await testServers({ own: true });
const log = silentLogger();
const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NEXUSMON_SECRETS: servers.secrets_dir, OPS_PORT: '0' },
  ...{ NEXUSMON_WORKER_MODULES: HOSTILE, NEXUSMON_RUNNER_ID: 'runner-spec', PATH: '/usr/bin:/bin' },
});
const manifests = await loadManifests(config.worker.modules);
const private_key = createPrivateKey(readSecrets(config, 'governance').permit_private_key);

const desk = new DeskFixture();
let mission: NatsConnection;
let runner: RunningService;

beforeAll(async () => {
  const { nats_user: user, nats_password: password } = readSecrets(config, 'mission');
  mission = await connectNats({ url: servers.nats_url, user, password, name: 'spec mission' }, log);
  mission.subscribe(MISSION_SUBJECTS.poll, {
    callback: (_error, message) =>
      void desk.poll(pollRequest.parse(message.json())).then((reply) => message.respond(JSON.stringify(reply))),
  });
  mission.subscribe(MISSION_SUBJECTS.report, {
    callback: (_error, message) =>
      void desk.report(reportRequest.parse(message.json())).then((reply) => message.respond(JSON.stringify(reply))),
  });
  await mission.flush();
  runner = await startService('worker-spec', config, [WorkerRunnerModule], { log });
});
afterAll(async () => {
  await runner.stop();
  desk.breakOff();
  await mission.close();
});

const asked = (worker: string, input: object) =>
  assignmentOf({ manifest: manifests.get(worker)!, input: JSON.parse(JSON.stringify(input)) as null, private_key });

describe('a runner in a process of its own', () => {
  it('says who it is, and what it can run', async () => {
    await desk.until(({ polls }) => polls.length > 0);
    expect(desk.polls[0]).toMatchObject({ runner_id: 'runner-spec', slots: config.worker.slots });
    expect(desk.polls[0]?.workers).toEqual(expect.arrayContaining(['system.echo', 'hostile.throws']));
  });

  it('runs what governance has permitted', () =>
    expect(desk.assign(asked('system.echo', { value: 'over the wire' }))).resolves.toMatchObject({
      ...{ outcome: 'completed', output: { value: 'over the wire' } },
    }));

  it('runs nothing else', () => {
    const { permit, ...rest } = asked('system.echo', { value: 1 });
    const forged = { ...rest, permit: { ...permit, signature: permit.signature.replace(/^.{4}/, 'AAAA') } };
    return expect(desk.assign(forged)).resolves.toMatchObject({ outcome: 'failed', error: { code: 'permit_invalid' } });
  });

  it('waits for a vault that nobody answers for, and gives the attempt back', async () => {
    const manifest = manifests.get('hostile.puts')!;
    const input = { file: 'a', text: 'a', times: 1 };
    const attempt = assignmentOf({ manifest, input, private_key, timeout_seconds: 1 });
    await expect(desk.assign(attempt)).resolves.toMatchObject({ outcome: 'failed', error: { code: 'runner_lost' } });
  });

  it('goes on after mission-service was away', async () => {
    const before = desk.polls.length;
    desk.breakOff();
    await desk.until(({ polls }) => polls.length > before);
    await expect(desk.assign(asked('hostile.answers', { back: true }))).resolves.toMatchObject({
      ...{ outcome: 'completed', output: { back: true } },
    });
  });
});
