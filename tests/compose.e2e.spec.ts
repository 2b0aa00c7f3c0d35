// The compose file, run as it stands: what it declares, as plain processes.

import { afterAll, describe, expect, it } from '@jest/globals';
import { chmodSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { ComposeRun, readCompose } from './support/compose.js';
import { Client } from './support/product.js';

const ROOT = resolve(import.meta.dirname, '..');
const VARIABLES = {
  POSTGRES_PASSWORD: 'a-password-of-this-test',
  S3_SECRET_KEY: 'a-secret-key-of-this-test',
  NEXUS_MASTER_SECRET: 'a master secret of this test',
};

let run: ComposeRun | undefined;
const folder = await mkdtemp(join(tmpdir(), 'nexusmon-compose-'));
chmodSync(folder, 0o711); // As root, PostgreSQL runs as another user, who must get through.
afterAll(async () => {
  await run?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the compose file', () => {
  it('brings up six services that run a mission for whoever comes in by the published gateway', async () => {
    run = await ComposeRun.start(readCompose(join(ROOT, 'docker-compose.yml')), VARIABLES, ROOT, folder);
    const url = run.published('gateway');
    const operator_key = (await readFile(run.place('gateway', '/state/operator.key'), 'utf8')).trim();
    const login = await new Client(url, undefined, operator_key).post<{ token: string }>('/v1/auth/login', {
      operator_key,
    });
    expect(login.status).toBe(200);
    const operator = new Client(url, login.body.token, operator_key);

    const { status, body } = await operator.post<MissionDocument>(
      '/v1/engine/missions',
      {
        goal: 'Report on the documents',
        template: 'repository-report',
        params: { path: run.place('worker-runner', '/sources/docs') },
      },
      { prefer: 'wait=60' },
    );
    expect([status, body.status]).toEqual([200, 'completed']);
    const artifacts = await operator.get<{ data: readonly unknown[] }>(
      `/v1/vault/artifacts?mission_id=${body.mission_id}`,
    );
    expect([artifacts.status, artifacts.body.data.length > 0]).toEqual([200, true]);
  });
});
