import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { testServers } from './test-servers.js';

const servers = await testServers();

describe('the servers of a test run', () => {
  it('have a NATS that syncs every write', async () => {
    const answer = await fetch(`${servers.nats_monitor_url}/varz`);
    const { jetstream } = (await answer.json()) as { jetstream: { config: { sync_always: boolean } } };
    expect(jetstream.config.sync_always).toBe(true);
  });

  it('have a PostgreSQL that listens', async () => {
    const { hostname, port } = new URL(servers.database_url);
    await new Promise<void>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.end(resolve)).on('error', reject);
    });
  });

  it('have a store of objects that is ready', async () => {
    expect((await fetch(`${servers.s3_endpoint}/minio/health/ready`)).status).toBe(200);
  });

  it('have credentials for every context', () => {
    for (const context of ['mission', 'governance', 'gateway', 'vault', 'evolution', 'worker', 'reader', 'admin'])
      expect(JSON.parse(readFileSync(join(servers.secrets_dir, `${context}.json`), 'utf8'))).toHaveProperty(
        'nats_user',
      );
  });
});
