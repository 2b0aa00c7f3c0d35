// The vault over real NATS, PostgreSQL and MinIO, asked over the wire as a runner asks it. `V1`–`V3` are the numbers in
// artifacts.ts.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/nats-core';
import { BlobStore } from '@nexusmon/artifacts';
import { readConfig } from '@nexusmon/config';
import { keyedId, newId, sha256Hex } from '@nexusmon/event-log';
import { connectNats, inboxPrefixOf, MessageClient, RequestMux } from '@nexusmon/messaging';
import { Database, digestTable, migrate } from '@nexusmon/projections';
import { ContextNats, startService, type RunningService } from '@nexusmon/runtime';
import type { Page, Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import {
  VAULT_SUBJECTS,
  PIECE_BYTES,
  type ArtifactDocument,
  type LineageDocument,
  type openedArtifact,
  type RecordArtifact,
  type uploadTarget,
} from '@nexusmon/vault-contract';
import type { z } from 'zod';
import { ARTIFACT_INPUT, ARTIFACT_VIEW } from './artifact/artifact.projection.js';
import { VaultServiceModule } from './vault-service.module.js';
import { vaultMigrations } from './migrations.js';

// Servers of its own: the view is thrown away and made anew.
const servers = await testServers({ own: true });
const log = silentLogger();
const secretsOf = (user: string) =>
  JSON.parse(readFileSync(join(servers.secrets_dir, `${user}.json`), 'utf8')) as Record<string, string>;

const connectAs = async (user: string) => {
  const { nats_user = '', nats_password = '' } = secretsOf(user);
  return connectNats({ url: servers.nats_url, user: nats_user, password: nats_password, name: `spec ${user}` }, log);
};

const adminUrl = () => {
  const url = new URL(servers.database_url);
  const { database_user = '', database_password = '' } = secretsOf('admin');
  url.username = database_user;
  url.password = database_password;
  return url.toString();
};

const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NATS_MONITOR_URL: servers.nats_monitor_url, DATABASE_URL: servers.database_url },
  ...{ S3_ENDPOINT: servers.s3_endpoint, S3_BUCKET: servers.s3_bucket, NEXUSMON_STREAMS: String(servers.streams) },
  ...{ NEXUSMON_SECRETS: servers.secrets_dir, OPS_PORT: '0' },
});
const startVault = async () => {
  const started = await startService('vault-spec', config, [VaultServiceModule], { log });
  // Only after a round trip does the server know of all subscriptions made before it.
  await started.app.get(ContextNats, { strict: false }).connection.flush();
  return started;
};

const { s3_access_key: access_key = '', s3_secret_key: secret_key = '' } = secretsOf('vault');
const blobs = new BlobStore({ ...config.s3, access_key, secret_key });

let vault: RunningService;
let connection: NatsConnection;
let client: MessageClient;

beforeAll(async () => {
  await migrate(adminUrl(), 'vault', 'vault', vaultMigrations);
  vault = await startVault();
  connection = await connectAs('worker');
  client = new MessageClient(new RequestMux(connection, inboxPrefixOf('worker')));
});
afterAll(async () => {
  await connection.close();
  await vault.stop();
  blobs.close();
});

const beginUpload = async (sha256: string, size: number) =>
  done(await client.request<z.infer<typeof uploadTarget>>(VAULT_SUBJECTS.begin_upload, { sha256, size }));
const list = async (query: object) => done(await client.request<Page<ArtifactDocument>>(VAULT_SUBJECTS.list, query));
const versions = async (query: object) =>
  done(await client.request<Page<ArtifactDocument>>(VAULT_SUBJECTS.versions, query));
const lineage = async (query: object) => done(await client.request<LineageDocument>(VAULT_SUBJECTS.lineage, query));
const open = async (artifact_id: string) =>
  done(await client.request<z.infer<typeof openedArtifact>>(VAULT_SUBJECTS.open, { artifact_id }));

const done = <Body>(reply: Reply<Body>): Body => {
  if (reply.kind !== 'done') throw new Error(JSON.stringify(reply));
  return reply.body;
};
const codeOf = (reply: Reply<unknown>) => (reply.kind === 'refused' ? reply.refusal.code : reply.kind);

const put = async (bytes: Buffer) => {
  const sha256 = sha256Hex(bytes);
  const { present, url } = await beginUpload(sha256, bytes.length);
  if (!present) expect((await fetch(url!, { method: 'PUT', body: bytes })).status).toBe(200);
  return sha256;
};

const command = (bytes: Buffer, change: Partial<RecordArtifact> = {}): RecordArtifact => {
  const mission_id = change.mission_id ?? newId('msn');
  const name = change.name ?? `${mission_id}/task/report.md`;
  return {
    asked: { actor: 'service:worker', command_id: keyedId('cmd', mission_id, name, sha256Hex(bytes)) },
    ...{ name, sha256: sha256Hex(bytes), size: bytes.length, media_type: 'text/markdown', kind: 'output' },
    ...{ mission_id, task_id: 'task', attempt: 1, worker: 'report.compose', inputs: [] },
    ...change,
  };
};
const record = (asked: RecordArtifact) => client.request<ArtifactDocument>(VAULT_SUBJECTS.record, asked);
const keep = async (text: string, change: Partial<RecordArtifact> = {}) => {
  const bytes = Buffer.from(text);
  await put(bytes);
  return done(await record(command(bytes, change)));
};

const keepAndWait = async (text: string) => {
  const bytes = Buffer.from(text);
  await put(bytes);
  const reply = await record(command(bytes));
  return { position: reply.kind === 'done' ? reply.position : '' };
};

describe('the vault', () => {
  it('keeps bytes, lists them at once, and gives the same bytes back (V2)', async () => {
    const mission_id = newId('msn');
    const artifact = await keep('# A report', { mission_id });
    expect(artifact).toEqual({
      ...{ artifact_id: expect.stringMatching(/^art_/), name: `${mission_id}/task/report.md`, version: 1 },
      ...{ sha256: sha256Hex('# A report'), size: 10, media_type: 'text/markdown', kind: 'output' },
      ...{ mission_id, task_id: 'task', attempt: 1, worker: 'report.compose', inputs: [] },
      created_at: expect.stringMatching(/Z$/),
      links: {
        self: `/v1/vault/artifacts/${artifact.artifact_id}`,
        content: `/v1/vault/artifacts/${artifact.artifact_id}/content`,
        versions: `/v1/vault/artifacts/${artifact.artifact_id}/versions`,
        lineage: `/v1/vault/artifacts/${artifact.artifact_id}/lineage`,
        mission: `/v1/engine/missions/${mission_id}`,
      },
    });
    await expect(list({ mission_id })).resolves.toEqual({ data: [artifact], next_cursor: null });
    const opened = await open(artifact.artifact_id);
    expect(opened.artifact).toEqual(artifact);
    await expect((await fetch(opened.url)).text()).resolves.toBe('# A report');
  });

  it('asks for bytes only once', async () => {
    const bytes = Buffer.from(`only once ${newId('x')}`);
    await put(bytes);
    await expect(beginUpload(sha256Hex(bytes), bytes.length)).resolves.toEqual({ present: true });
  });

  it('counts versions of a name, newest first in the list', async () => {
    const mission_id = newId('msn');
    const versions = [];
    for (const text of ['one', 'two', 'three']) versions.push((await keep(text, { mission_id })).version);
    expect(versions).toEqual([1, 2, 3]);
    const { data } = await list({ mission_id, name: `${mission_id}/task/report.md` });
    expect(data.map(({ version }) => version)).toEqual([3, 2, 1]);
  });

  it('lists the versions of the name that an artifact has, newest first, and finds the latest of each', async () => {
    const mission_id = newId('msn');
    const kept: ArtifactDocument[] = [];
    for (const text of ['one', 'two', 'three']) kept.push(await keep(text, { mission_id }));
    const other = await keep('four', { mission_id, name: `${mission_id}/task/other`, task_id: 'other', kind: 'log' });
    const [first, , third] = kept;
    const pageOne = await versions({ artifact_id: first?.artifact_id, limit: 2 });
    const pageTwo = await versions({ artifact_id: first?.artifact_id, limit: 2, cursor: pageOne.next_cursor });
    expect([...pageOne.data, ...pageTwo.data]).toEqual(kept.toReversed());
    expect(pageTwo.next_cursor).toBeNull();
    await expect(list({ mission_id, latest: true })).resolves.toMatchObject({ data: [other, third] });
    await expect(list({ mission_id, kind: 'log' })).resolves.toMatchObject({ data: [other] });
    await expect(list({ mission_id, task_id: 'task', limit: 1 })).resolves.toMatchObject({ data: [third] });
    expect(codeOf(await client.request(VAULT_SUBJECTS.versions, { artifact_id: newId('art') }))).toBe(
      'artifact-not-found',
    );
  });

  it('tells what an artifact was made from and what was made from it, as far as it is asked', async () => {
    const mission_id = newId('msn');
    const made = async (file: string, inputs: readonly ArtifactDocument[]) =>
      keep(file, {
        ...{ mission_id, name: `${mission_id}/task/${file}`, task_id: file },
        inputs: inputs.map(({ artifact_id }) => artifact_id),
      });
    // A diamond with a tail at both ends.
    const source = await made('source', []);
    const left = await made('left', [source]);
    const right = await made('right', [source]);
    const report = await made('report', [left, right]);
    const copy = await made('copy', [report]);
    const shown = async (query: object) => {
      const { nodes, edges, truncated } = await lineage({ artifact_id: report.artifact_id, ...query });
      const found = nodes.map(({ artifact, distance, more }) => [artifact.task_id, distance, more]);
      return { found: found.toSorted(), edges: edges.length, truncated };
    };
    await expect(shown({})).resolves.toEqual({
      found: [
        ['copy', 1, false],
        ['left', -1, false],
        ['report', 0, false],
        ['right', -1, false],
        ['source', -2, false],
      ],
      edges: 5,
      truncated: false,
    });
    await expect(shown({ direction: 'derived' })).resolves.toMatchObject({ edges: 1, truncated: false });
    await expect(shown({ direction: 'inputs', depth: 1 })).resolves.toEqual({
      found: [
        ['left', -1, true],
        ['report', 0, false],
        ['right', -1, true],
      ],
      edges: 2,
      truncated: true,
    });
    await expect(shown({ direction: 'inputs', limit: 2 })).resolves.toMatchObject({ edges: 1, truncated: true });
    const from_source = await lineage({ artifact_id: source.artifact_id });
    expect(from_source.nodes.map(({ artifact }) => artifact.artifact_id).toSorted()).toEqual(
      [source, left, right, report, copy].map(({ artifact_id }) => artifact_id).toSorted(),
    );
    expect(codeOf(await client.request(VAULT_SUBJECTS.lineage, { artifact_id: newId('art') }))).toBe(
      'artifact-not-found',
    );
  });

  it('records nothing that was made from what is not there (V4)', async () => {
    const bytes = Buffer.from('of nothing');
    await put(bytes);
    expect(codeOf(await record(command(bytes, { inputs: [newId('art')] })))).toBe('input-unknown');
  });

  it('knows the pieces of what is large, also when it has to read them again', async () => {
    const bytes = randomBytes(PIECE_BYTES + 5);
    await put(bytes);
    const { artifact_id } = done(await record(command(bytes)));
    const expected = [bytes.subarray(0, PIECE_BYTES), bytes.subarray(PIECE_BYTES)].map((piece) => sha256Hex(piece));
    const pieces = (first: number, last: number) => client.request(VAULT_SUBJECTS.pieces, { artifact_id, first, last });
    await expect(pieces(0, 1)).resolves.toMatchObject({ body: { sha256: expected } });
    const database = vault.app.get(Database, { strict: false });
    await database.query('delete from vault.blob_pieces');
    await expect(Promise.all([pieces(1, 1), pieces(1, 1)])).resolves.toMatchObject([
      { body: { sha256: [expected[1]] } },
      { body: { sha256: [expected[1]] } },
    ]);
    const { rows } = await database.query('select sha256 from vault.blob_pieces');
    expect(rows).toEqual([{ sha256: sha256Hex(bytes) }]);
    expect(codeOf(await pieces(1, 2))).toBe('invalid');

    await database.query('delete from vault.blob_pieces');
    await fetch(await blobs.putUrl(sha256Hex(bytes)), { method: 'PUT', body: bytes.subarray(1) });
    expect(codeOf(await pieces(0, 0))).toBe('artifact-corrupt');
  });

  it('names the same artifact when a record is repeated, by the same command or by a later attempt (V3)', async () => {
    const bytes = Buffer.from('recorded once');
    await put(bytes);
    const asked = command(bytes);
    const [first, second] = await Promise.all([record(asked), record(asked)]);
    expect(done(second)).toEqual(done(first));
    const command_id = newId('cmd');
    const later = { ...asked, attempt: 2, asked: { ...asked.asked, command_id } };
    await expect(record(later)).resolves.toMatchObject({ changed: false, body: done(first) });
  });

  it('records nothing whose bytes are not there (V1)', async () => {
    const bytes = Buffer.from(`never put ${newId('x')}`);
    expect(codeOf(await record(command(bytes)))).toBe('blob-absent');
  });

  it('records nothing whose bytes are others, and lets them be put again (V1)', async () => {
    const bytes = Buffer.from(`promised ${newId('x')}`);
    const sha256 = sha256Hex(bytes);
    const wrong = Buffer.from(bytes.toString().replace('promised', 'promisez'));
    await fetch(await blobs.putUrl(sha256), { method: 'PUT', body: wrong });
    await expect(record(command(bytes))).resolves.toMatchObject({
      kind: 'refused',
      refusal: { code: 'blob-differs', facts: { stored_sha256: sha256Hex(wrong), stored_size: wrong.length } },
    });
    expect(codeOf(await record(command(Buffer.concat([wrong, wrong]))))).toBe('blob-absent');
    await put(bytes);
    expect(codeOf(await record(command(bytes)))).toBe('done');
  });

  it('pages through a list without a gap or a repeat while others are added', async () => {
    const mission_id = newId('msn');
    for (const index of [1, 2, 3, 4, 5])
      await keep(`page ${index}`, { mission_id, name: `${mission_id}/task/${index}` });
    const first = await list({ mission_id, limit: 2 });
    await keep('page 6', { mission_id, name: `${mission_id}/task/6` });
    const second = await list({ mission_id, limit: 2, cursor: first.next_cursor });
    const third = await list({ mission_id, limit: 2, cursor: second.next_cursor });
    const names = [first, second, third].flatMap(({ data }) => data.map(({ name }) => name.slice(-1)));
    expect(names).toEqual(['5', '4', '3', '2', '1']);
    expect(third.next_cursor).toBeNull();
  });

  it('refuses what it did not give out', async () => {
    expect(codeOf(await client.request(VAULT_SUBJECTS.list, { cursor: 'page 2' }))).toBe('malformed-cursor');
    expect(codeOf(await client.request(VAULT_SUBJECTS.list, { min_position: 'soon' }))).toBe('malformed-position');
    expect(codeOf(await client.request(VAULT_SUBJECTS.get, { artifact_id: newId('art') }))).toBe('artifact-not-found');
    expect(codeOf(await client.request(VAULT_SUBJECTS.open, { artifact_id: newId('art') }))).toBe('artifact-not-found');
    expect(codeOf(await client.request(VAULT_SUBJECTS.record, command(Buffer.from('x'), { name: '../x' })))).toBe(
      'invalid',
    );
  });

  it('answers a read after its position', async () => {
    const bytes = Buffer.from(`read after ${newId('x')}`);
    await put(bytes);
    const reply = await record(command(bytes));
    const { artifact_id } = done(reply);
    const min_position = reply.kind === 'done' ? reply.position : '';
    await expect(client.request(VAULT_SUBJECTS.get, { artifact_id, min_position })).resolves.toMatchObject({
      kind: 'done',
      body: { artifact_id },
    });
  });

  it('gives no inbox or subject to a runner that is not its own', () =>
    expect(client.request('cmd.governance.grant', {})).rejects.toThrow('may not publish'));
});

describe('the view of artifacts', () => {
  it('is a fold of the log: made anew it is the same', async () => {
    const { position } = await keepAndWait('the last of all');
    await vault.stop();
    const { database_user: user = '', database_password: password = '' } = secretsOf('vault');
    const database = await Database.open({ ...config.database, user, password, name: 'vault-spec' });
    const digests = () =>
      Promise.all([
        digestTable(database, ARTIFACT_VIEW, ['artifact_id']),
        digestTable(database, ARTIFACT_INPUT, ['artifact_id', 'input_id']),
      ]);
    const before = await digests();
    await database.query(`delete from ${ARTIFACT_VIEW}`);
    await database.query(`delete from ${ARTIFACT_INPUT}`);
    await database.query('delete from vault.checkpoint');

    vault = await startVault();
    await list({ min_position: position });
    await expect(digests()).resolves.toEqual(before);
    await database.close();
  });
});
