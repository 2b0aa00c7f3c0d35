// Artifacts of attempts: real threads and a real MinIO; vault.fixture.ts keeps the list. `K1`–`K4` are the numbers in
// artifact-keeper.ts, `A3` is in attempt.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { BlobStore } from '@nexusmon/artifacts';
import { canonical, newId, sha256Hex } from '@nexusmon/event-log';
import type { Json } from '@nexusmon/kernel';
import { Signatures } from '@nexusmon/keys';
import { testServers } from '@nexusmon/testing';
import type { AttemptResult } from '@nexusmon/worker-contract';
import { ArtifactKeeper } from './artifact-keeper.js';
import { assignmentOf, governance } from './assignment.fixture.js';
import { ARTIFACTS_MAX, Attempt } from './attempt.js';
import { ThreadPool } from './thread-pool.js';
import { VaultFixture } from './vault.fixture.js';
import { loadManifests } from './worker-catalogue.js';

const HOSTILE = fileURLToPath(new URL('hostile-workers.fixture.mjs', import.meta.url));
const servers = await testServers();
const { s3_access_key: access_key = '', s3_secret_key: secret_key = '' } = JSON.parse(
  readFileSync(join(servers.secrets_dir, 'vault.json'), 'utf8'),
) as Record<string, string>;
const place = { endpoint: servers.s3_endpoint, bucket: 'runner-spec', region: 'us-east-1' };
const manifests = await loadManifests([HOSTILE]);

const blobs = new BlobStore({ ...place, access_key, secret_key });
const vault = new VaultFixture(blobs);
let pool: ThreadPool;

beforeAll(async () => {
  await blobs.prepare();
  pool = new ThreadPool({
    ...{ modules: [HOSTILE], allowed_roots: [], forbidden_roots: [], heap_mb_max: 96, path: '/usr/bin:/bin' },
    ...{ threads_max: 2, threads_kept: 1 },
  });
});
afterEach(() => {
  vault.records.length = 0;
  vault.failures = 0;
});
afterAll(() => {
  pool.close();
  blobs.close();
});

const run = (worker: string, input: Json, mission_id = newId('msn'), timeout_seconds = 20) => {
  const assignment = assignmentOf({ manifest: manifests.get(worker)!, input, mission_id, timeout_seconds });
  const tools = {
    pool,
    keeper: new ArtifactKeeper(vault),
    governance: new Signatures(governance.publicKey),
    manifests,
  };
  return new Attempt(assignment, { ...tools, progress: () => undefined }).result();
};
const completed = async (result: Promise<AttemptResult | undefined>) => {
  const ended = await result;
  if (ended?.outcome !== 'completed') throw new Error(JSON.stringify(ended));
  return ended;
};
const failed = (code: string, message: string, retryable: boolean) => ({
  ...{ outcome: 'failed', error: { code, message: expect.stringContaining(message), retryable } },
  duration_ms: expect.any(Number),
});

describe('an artifact', () => {
  it('is kept under its digest, recorded, and named in the result (K1)', async () => {
    const mission_id = newId('msn');
    const { artifacts, output } = await completed(
      run('hostile.puts', { file: 'notes/a.txt', text: 'kept', times: 1 }, mission_id),
    );
    const ref = {
      name: `${mission_id}/task/notes/a.txt`,
      sha256: sha256Hex('kept'),
      size: 4,
      media_type: 'text/plain',
    };
    expect(artifacts).toEqual([{ artifact_id: expect.stringMatching(/^art_/), ...ref }]);
    expect(output).toEqual({ kept: artifacts });
    expect(vault.records).toEqual([
      expect.objectContaining({ mission_id, task_id: 'task', attempt: 1, worker: 'hostile.puts', kind: 'output' }),
    ]);
    await expect(blobs.verify(sha256Hex('kept'), 4)).resolves.toEqual({ kind: 'verified' });
  });

  it('can be read by a later task of its mission', async () => {
    const mission_id = newId('msn');
    const { artifacts } = await completed(run('hostile.puts', { file: 'a', text: 'read me', times: 1 }, mission_id));
    const { artifact_id } = artifacts[0]!;
    await expect(completed(run('hostile.gets', { artifact_id }, mission_id))).resolves.toMatchObject({
      output: { text: 'read me' },
    });
  });

  it('cannot be read by another mission (K4)', async () => {
    const { artifacts } = await completed(run('hostile.puts', { file: 'a', text: 'private', times: 1 }));
    const { artifact_id } = artifacts[0]!;
    await expect(run('hostile.gets', { artifact_id })).resolves.toEqual(
      failed('worker_failed', 'another mission', false),
    );
  });

  it('is not read when its stored bytes are no longer those that were recorded (K4)', async () => {
    const mission_id = newId('msn');
    const text = `to be spoiled ${mission_id}`;
    const { artifacts } = await completed(run('hostile.puts', { file: 'a', text, times: 1 }, mission_id));
    const { artifact_id, sha256 } = artifacts[0]!;
    await fetch(await blobs.putUrl(sha256), { method: 'PUT', body: text.replace('spoiled', 'spoilt!') });
    await expect(run('hostile.gets', { artifact_id }, mission_id)).resolves.toEqual(
      failed('worker_failed', 'are not those that were recorded', false),
    );
  });

  it('waits for a vault that is away, and is kept once (K2, K3)', async () => {
    vault.failures = 3;
    const { artifacts } = await completed(run('hostile.puts', { file: 'a', text: 'patience', times: 1 }));
    expect(artifacts).toHaveLength(1);
    expect(vault.records).toHaveLength(1);
  });

  it('that cannot be kept in time gives the attempt back (K2)', async () => {
    vault.failures = Infinity;
    await expect(run('hostile.puts', { file: 'a', text: 'in vain', times: 1 }, newId('msn'), 0.5)).resolves.toEqual(
      failed('runner_lost', 'the vault was away', true),
    );
  });

  it('is one of a bounded number', async () => {
    await expect(run('hostile.puts', { file: 'a', text: 'many', times: ARTIFACTS_MAX + 1 })).resolves.toEqual(
      failed('worker_failed', `may keep ${ARTIFACTS_MAX} artifacts`, false),
    );
  });

  it.each([
    ['media type', { file: 'a', text: 'x', times: 1, media_type: 'text/html\r\nx: y' }, 'is not a media type'],
    ['name', { file: 'a/../../b', text: 'x', times: 1 }, 'cannot be the name'],
  ])('has no %s that others would trip over', (_what, input, why) =>
    expect(run('hostile.puts', input)).resolves.toEqual(failed('worker_failed', why, false)),
  );
});

describe('an output over 64 KiB', () => {
  it('is kept as an artifact and reported by its digest (A3)', async () => {
    const mission_id = newId('msn');
    const large = { text: 'x'.repeat(100_000) };
    const { output, output_ref, artifacts } = await completed(run('hostile.answers', large, mission_id));
    expect(output_ref).toEqual({
      artifact_id: expect.stringMatching(/^art_/),
      ...{ name: `${mission_id}/task/output.json`, media_type: 'application/json' },
      ...{ sha256: sha256Hex(canonical(large)), size: canonical(large).length },
    });
    expect(output).toEqual({ $artifact: output_ref?.artifact_id });
    expect(artifacts).toEqual([]);
  });

  it('gives the attempt back when the vault is away until the end', async () => {
    vault.failures = Infinity;
    const large = { text: 'y'.repeat(100_000) };
    await expect(run('hostile.answers', large, newId('msn'), 0.7)).resolves.toEqual(
      failed('runner_lost', 'the vault was away', true),
    );
  });
});
