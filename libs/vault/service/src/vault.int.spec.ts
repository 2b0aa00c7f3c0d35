// The vault over real NATS, PostgreSQL and MinIO, asked over the wire as a runner asks it. `V1`–`V6` are the numbers in
// artifacts.ts, `U1`–`U5` those in uploads.ts, `R1`–`R4` those in blob-removal.ts, `C1`–`C4` those in blob-checks.ts.

import { createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/nats-core';
import { BlobStore, BlobStoreUnavailable, StagingStore, UploadLost } from '@nexusmon/artifacts';
import { readConfig } from '@nexusmon/config';
import { EventLog, keyedId, newId, sha256Hex, streamName, subjectOf } from '@nexusmon/event-log';
import { Keyring } from '@nexusmon/keys';
import { connectNats, inboxPrefixOf, MessageClient, RequestMux, Unavailable } from '@nexusmon/messaging';
import { Database, digestTable, migrate } from '@nexusmon/projections';
import { ContextNats, Health, startService, type RunningService } from '@nexusmon/runtime';
import { ANSWER_BYTES_MAX, type Page, type Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import {
  VAULT_SUBJECTS,
  PIECE_BYTES,
  type ArtifactDocument,
  type CheckDocument,
  type LineageDocument,
  type openedArtifact,
  type RecordArtifact,
  type RecordUpload,
  type StagedUpload,
  type stagedPart,
  type uploadTarget,
  UPLOAD_PART_BYTES,
} from '@nexusmon/vault-contract';
import { Client } from 'minio';
import type { z } from 'zod';
import { ArtifactList } from './artifact/artifact-list.js';
import { BlobChecks } from './artifact/blob-checks.js';
import { BlobRemoval } from './artifact/blob-removal.js';
import { artifactAggregate } from './artifact/artifact.aggregate.js';
import { seriesOf } from './artifact/series-id.js';
import { Uploads } from './artifact/uploads.js';
import { ARTIFACT_INPUT, ARTIFACT_VIEW } from './artifact/artifact.projection.js';
import { VaultServiceModule } from './vault-service.module.js';
import { vaultMigrations } from './migrations.js';

// Hooks run in their order: what asks the servers ends before they do.
afterAll(async () => {
  await connection.close();
  await mission_connection.close();
  await vault.stop();
  blobs.close();
});

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
let mission_connection: NatsConnection;
let key_id: string;
let client: MessageClient;

/** As the gateway has one for each of those who ask it. */
const operatorKey = async (): Promise<string> => {
  const { database_user: user = '', database_password: password = '', wrap_key = '' } = secretsOf('gateway');
  const database = await Database.open({ ...config.database, user, password, name: 'vault-spec-keys' });
  const ring = new Keyring({ sql: database, wrap_key: createSecretKey(Buffer.from(wrap_key, 'base64')) });
  const made = await ring.forOwner('operator:owner');
  await database.close();
  return made;
};

/** What the mission service would say; of any other mission that there is none. */
const missions = new Map<string, string>();
const missionOf = (mission_id: string): Reply<unknown> => {
  const status = missions.get(mission_id);
  if (status !== undefined)
    return { kind: 'done', changed: false, position: '', body: { status, effective_rank: 'B' } };
  return { kind: 'refused', refusal: { code: 'mission-not-found', detail: 'there is no such mission' } };
};

beforeAll(async () => {
  mission_connection = await connectAs('mission');
  mission_connection.subscribe('qry.mission.get', {
    callback: (_, message) => {
      message.respond(JSON.stringify(missionOf(message.json<{ mission_id: string }>().mission_id)));
    },
  });
  await mission_connection.flush();
  key_id = await operatorKey();
  await migrate(adminUrl(), 'vault', 'vault', vaultMigrations);
  vault = await startVault();
  connection = await connectAs('gateway');
  client = new MessageClient(new RequestMux(connection, inboxPrefixOf('gateway')));
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
const get = async (artifact_id: string) =>
  done(await client.request<ArtifactDocument>(VAULT_SUBJECTS.get, { artifact_id }));
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

const eventually = async (holds: () => Promise<boolean>): Promise<void> => {
  const late_ms = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > late_ms) throw new Error(`never: ${holds.toString()}`);
    await pause(20);
  }
};

/** The last message of a series, as it lies in the log. */
const lastCommitOf = async (name: string): Promise<string> => {
  const id = seriesOf(name);
  const { context, name: aggregate } = artifactAggregate;
  const reader = await connectAs('reader');
  const last_by_subj = subjectOf(context, aggregate, id);
  const reply = await reader.request(`$JS.API.STREAM.MSG.GET.${streamName(0)}`, JSON.stringify({ last_by_subj }));
  await reader.close();
  const { message } = reply.json<{ message: { data: string } }>();
  return Buffer.from(message.data, 'base64').toString('utf8');
};

/** Every removal that was begun has ended. */
const settledRemovals = async () => {
  await eventually(async () => {
    const { reactors } = (await vault.app.get(Health, { strict: false }).report()).details as {
      reactors: Record<string, { open: number }>;
    };
    return reactors['vault.remove_blobs']?.open === 0;
  });
  await vault.app.get(BlobRemoval, { strict: false }).remove(sha256Hex(newId('x')));
};

/** Keeps any removal of a blob waiting until it is released. */
const holdLock = async (sha256: string): Promise<() => Promise<void>> => {
  const { database_user: user = '', database_password: password = '' } = secretsOf('vault');
  const database = await Database.open({ ...config.database, user, password, name: 'vault-spec-lock' });
  const [held, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = database.transaction(async (sql) => {
    await sql.query('select pg_advisory_xact_lock($1::bigint)', [
      BigInt.asIntN(64, BigInt(`0x${sha256.slice(0, 16)}`)),
    ]);
    held.resolve();
    await go.promise;
  });
  await held.promise;
  return async () => {
    go.resolve();
    await holding;
    await database.close();
  };
};

/** Lets a removal come as far as the store and no further, until it may go on. */
const holdRemovals = () => {
  const store = vault.app.get(BlobStore, { strict: false });
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const remove = store.remove.bind(store);
  store.remove = async (sha256) => {
    reached.resolve();
    await go.promise;
    return remove(sha256);
  };
  const goOn = () => {
    store.remove = remove;
    go.resolve();
  };
  return { reached: reached.promise, goOn };
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

  it('answers no more than fits into one message, and goes on from there (L2)', async () => {
    const mission_id = newId('msn');
    const made: string[] = [];
    for (const file of ['source', 'left', 'right', 'report']) {
      const inputs = file === 'report' ? made.slice(1) : made.slice(0, 1);
      const name = `${mission_id}/task/${file}`;
      made.push((await keep(file, { mission_id, name, task_id: file, inputs })).artifact_id);
    }
    // As large as if each had been made from tens of thousands.
    const database = vault.app.get(Database, { strict: false });
    const grow = 'update vault.artifact_view set document = document || $2 where artifact_id = any($1)';
    await database.query(grow, [made, { worker: 'x'.repeat(ANSWER_BYTES_MAX * 0.4) }]);
    const first = await list({ mission_id });
    const second = await list({ mission_id, cursor: first.next_cursor });
    const pages = [first, second].map(({ data }) => data.map(({ artifact_id }) => artifact_id));
    const shown = await lineage({ artifact_id: made[3] });
    await database.query(grow, [made, { worker: 'report.compose' }]);
    expect(pages).toEqual([made.slice(2).toReversed(), made.slice(0, 2).toReversed()]);
    expect(second.next_cursor).toBeNull();
    expect(shown.nodes.map(({ distance, more }) => [distance, more])).toEqual([
      [0, true],
      [-1, true],
    ]);
    expect(shown.edges).toEqual([{ artifact_id: made[3], input_id: shown.nodes[1]?.artifact.artifact_id }]);
    expect(shown.truncated).toBe(true);
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

  it('gives a runner nothing that is not its own', async () => {
    const worker = await connectAs('worker');
    const runner = new MessageClient(new RequestMux(worker, inboxPrefixOf('worker')));
    for (const subject of ['cmd.governance.grant', VAULT_SUBJECTS.delete, VAULT_SUBJECTS.list])
      await expect(runner.request(subject, {})).rejects.toThrow('may not publish');
    await worker.close();
  });
});

const deletion = (artifact_id: string, reason = 'it names a customer', who: object = {}) =>
  client.request<ArtifactDocument>(VAULT_SUBJECTS.delete, {
    asked: { actor: 'operator:owner', command_id: newId('cmd'), ...who },
    ...{ artifact_id, reason, key_id },
  });
const check = (artifact_id: string) =>
  client.request<CheckDocument>(VAULT_SUBJECTS.check, {
    asked: { actor: 'operator:owner', command_id: newId('cmd') },
    artifact_id,
  });
const isStored = async (sha256: string) => (await blobs.size(sha256)) !== undefined;
const untilRemoved = (sha256: string) => eventually(async () => !(await isStored(sha256)));

describe('a deleted artifact', () => {
  it('stays in lists with who, when and why, and its bytes go', async () => {
    const mission_id = newId('msn');
    const artifact = await keep(`to be deleted ${newId('x')}`, { mission_id });
    const gone = done(await deletion(artifact.artifact_id));
    expect(gone).toEqual({
      ...artifact,
      ...{ deleted_at: expect.stringMatching(/Z$/), deleted_by: 'operator:owner' },
      deleted_reason: 'it names a customer',
    });
    await expect(list({ mission_id, deleted: true })).resolves.toMatchObject({ data: [gone] });
    await expect(list({ mission_id, latest: true })).resolves.toMatchObject({ data: [] });
    await untilRemoved(artifact.sha256);
    expect(codeOf(await client.request(VAULT_SUBJECTS.open, { artifact_id: artifact.artifact_id }))).toBe(
      'artifact-deleted',
    );
    expect(codeOf(await check(artifact.artifact_id))).toBe('artifact-deleted');
    // Again changes nothing.
    await expect(deletion(artifact.artifact_id, 'again')).resolves.toMatchObject({ changed: false, body: gone });
    expect(codeOf(await deletion(newId('art')))).toBe('artifact-not-found');
  });

  it('says why under a key of its own in the log', async () => {
    const artifact = await keep(`secret reason ${newId('x')}`);
    done(await deletion(artifact.artifact_id, 'because of Mrs. Canary'));
    const text = await lastCommitOf(artifact.name);
    expect(text).toContain('ArtifactDeleted.v1');
    expect(text).not.toContain('Canary');
  });

  it('leaves the bytes to whoever else has them, until the last is deleted (R1)', async () => {
    const text = `shared ${newId('x')}`;
    const [one, two] = [await keep(text), await keep(text)];
    done(await deletion(one.artifact_id));
    await settledRemovals();
    expect(await isStored(one.sha256)).toBe(true);
    expect(await (await fetch((await open(two.artifact_id)).url)).text()).toBe(text);
    done(await deletion(two.artifact_id));
    await untilRemoved(one.sha256);
  });

  it('of a mission that has not ended is not deleted (V6)', async () => {
    const artifact = await keep(`still running ${newId('x')}`);
    const { mission_id = '' } = artifact;
    missions.set(mission_id, 'running');
    await expect(deletion(artifact.artifact_id)).resolves.toMatchObject({
      ...{ kind: 'refused', refusal: { code: 'mission-running', facts: { status: 'running' } } },
    });
    missions.set(mission_id, 'completed');
    expect(codeOf(await deletion(artifact.artifact_id))).toBe('done');
  });

  it('of a mission above the ceiling of whoever asks is not deleted (V6)', async () => {
    const artifact = await keep(`of rank B ${newId('x')}`);
    missions.set(artifact.mission_id ?? '', 'completed');
    const by = (rank_ceiling: string) => deletion(artifact.artifact_id, 'mine', { actor: 'token:tok_1', rank_ceiling });
    await expect(by('C')).resolves.toMatchObject({
      ...{
        kind: 'refused',
        refusal: { code: 'rank-above-ceiling', facts: { effective_rank: 'B', rank_ceiling: 'C' } },
      },
    });
    expect((await get(artifact.artifact_id)).deleted_at).toBeUndefined();
    expect(codeOf(await by('B'))).toBe('done');
  });

  it('is recorded anew by whoever has the bytes', async () => {
    const mission_id = newId('msn');
    const bytes = `again ${newId('x')}`;
    const first = await keep(bytes, { mission_id });
    done(await deletion(first.artifact_id));
    await untilRemoved(first.sha256);
    const command_id = newId('cmd');
    const second = await keep(bytes, { mission_id, asked: { actor: 'service:worker', command_id } });
    expect(second).toMatchObject({ version: 2, sha256: first.sha256 });
    expect(await isStored(first.sha256)).toBe(true);
    expect(await (await fetch((await open(second.artifact_id)).url)).text()).toBe(bytes);
  });

  it('stays deleted when its own record is repeated, and the bytes that came with it go', async () => {
    const bytes = Buffer.from(`repeated ${newId('x')}`);
    await put(bytes);
    const asked = command(bytes);
    const artifact = done(await record(asked));
    done(await deletion(artifact.artifact_id));
    await untilRemoved(artifact.sha256);
    await put(bytes);
    await expect(record(asked)).resolves.toMatchObject({ changed: false, body: { artifact_id: artifact.artifact_id } });
    expect(await isStored(artifact.sha256)).toBe(false);
  });

  it('takes its bytes with it after a crash between the two (R3)', async () => {
    const artifact = await keep(`crash ${newId('x')}`);
    // Whoever holds the lock keeps the removal from happening; the process that was to do it ends.
    const release = await holdLock(artifact.sha256);
    done(await deletion(artifact.artifact_id));
    await vault.stop();
    expect(await isStored(artifact.sha256)).toBe(true);
    await release();
    vault = await startVault();
    await untilRemoved(artifact.sha256);
  });
});

describe('a record beside a removal of the same bytes', () => {
  /** As a runner does: what was taken away meanwhile is put again. */
  const keepAgain = async (text: string): Promise<ArtifactDocument> => {
    const bytes = Buffer.from(text);
    const asked = command(bytes);
    for (let attempt = 1; ; attempt += 1) {
      await put(bytes);
      const reply = await record(asked);
      if (attempt === 20 || codeOf(reply) !== 'blob-absent') return done(reply);
    }
  };

  it('is answered only when the bytes are there for good (R2)', async () => {
    const text = `contested ${newId('x')}`;
    const first = await keep(text);
    // The removal has seen that nobody needs the bytes, and stands before the removing itself.
    const removal = holdRemovals();
    done(await deletion(first.artifact_id));
    await removal.reached;
    const recording = record(command(Buffer.from(text)));
    const answeredEarly = await Promise.race([recording.then(() => true), pause(300, false)]);
    expect(answeredEarly).toBe(false);
    removal.goOn();
    expect(codeOf(await recording)).toBe('blob-absent');
    const kept = await keepAgain(text);
    expect(await isStored(kept.sha256)).toBe(true);
  });

  it('is not answered while a removal that was never answered may still come (R4)', async () => {
    const text = `unanswered ${newId('x')}`;
    const first = await keep(text);
    const store = vault.app.get(BlobStore, { strict: false });
    const remove = store.remove.bind(store);
    const reached = Promise.withResolvers<void>();
    store.remove = () => {
      reached.resolve();
      return Promise.reject(new BlobStoreUnavailable('remove a blob within 10000 ms'));
    };
    done(await deletion(first.artifact_id));
    await reached.promise;
    expect(codeOf(await record(command(Buffer.from(text))))).toBe('unavailable');
    let confirmed = 0;
    store.remove = async (sha256) => {
      await remove(sha256);
      confirmed += 1;
    };
    const kept = await keepAgain(text);
    expect(confirmed).toBe(1);
    store.remove = remove;
    await settledRemovals();
    expect(await isStored(kept.sha256)).toBe(true);
    const database = vault.app.get(Database, { strict: false });
    expect((await database.query('select from vault.blob_removing')).rows).toHaveLength(0);
  });

  it('is not answered while a removal that has found nobody in need is about to begin (R2)', async () => {
    const text = `about to go ${newId('x')}`;
    const first = await keep(text);
    const needs = vault.app.get(ArtifactList, { strict: false });
    const ask = needs.needs.bind(needs);
    const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    needs.needs = async (sha256, sql) => {
      const isNeeded = await ask(sha256, sql);
      reached.resolve();
      await go.promise;
      return isNeeded;
    };
    done(await deletion(first.artifact_id));
    await reached.promise;
    const recording = record(command(Buffer.from(text)));
    expect(await Promise.race([recording.then(() => true), pause(300, false)])).toBe(false);
    go.resolve();
    expect(codeOf(await recording)).toBe('blob-absent');
    needs.needs = ask;
    expect(await isStored((await keepAgain(text)).sha256)).toBe(true);
  });

  it('leaves every artifact that was answered with its bytes, whatever the order', async () => {
    const text = `race ${newId('x')}`;
    let standing = await keep(text);
    for (let round = 0; round < 12; round += 1) {
      const [, next] = await Promise.all([deletion(standing.artifact_id), keepAgain(text)]);
      await settledRemovals();
      expect(await (await fetch((await open(next.artifact_id)).url)).text()).toBe(text);
      standing = next;
    }
  });
});

describe('an upload', () => {
  const upload = (bytes: Buffer, change: Partial<RecordUpload> = {}): RecordUpload => ({
    asked: { actor: 'operator:owner', command_id: newId('cmd') },
    ...{ name: `notes/${newId('x')}`, sha256: sha256Hex(bytes), size: bytes.length, media_type: 'text/plain' },
    ...{ inputs: [], ...change },
  });
  const sent = (request: RecordUpload) =>
    client.request<ArtifactDocument>(VAULT_SUBJECTS.upload, request, { timeout_ms: 30_000 });
  const stage = async (inputs: string[] = []) =>
    done(await client.request<StagedUpload>(VAULT_SUBJECTS.stage, { inputs }));
  /** As the gateway does it. */
  const staged = async (bytes: Buffer) => {
    const place = await stage();
    const etags: string[] = [];
    for (let at = 0; at < bytes.length; at += UPLOAD_PART_BYTES) {
      const request = { ...place, part: etags.length + 1 };
      const { url } = done(await client.request<z.infer<typeof stagedPart>>(VAULT_SUBJECTS.stage_part, request));
      const answer = await fetch(url, { method: 'PUT', body: bytes.subarray(at, at + UPLOAD_PART_BYTES) });
      expect(answer.status).toBe(200);
      etags.push(answer.headers.get('etag') ?? '');
    }
    return { ...place, etags };
  };
  const bare = new Client({
    ...{ endPoint: new URL(config.s3.endpoint).hostname, port: Number(new URL(config.s3.endpoint).port) },
    ...{ useSSL: false, accessKey: access_key, secretKey: secret_key, region: config.s3.region },
  });
  const stagedKeys = async () => {
    const keys: string[] = [];
    const listing = bare.listObjectsV2(config.s3.bucket, 'staged/', true) as AsyncIterable<{ name: string }>;
    for await (const { name } of listing) keys.push(name);
    return keys;
  };
  const large = () => Buffer.concat([randomBytes(UPLOAD_PART_BYTES), Buffer.from('the last part')]);

  it('of small bytes lies under its digest, as one object however often, and is the next version of its name', async () => {
    const bytes = Buffer.from(`uploaded ${newId('x')}`);
    await put(bytes);
    const first = done(await sent(upload(bytes)));
    expect(first).toMatchObject({ version: 1, uploaded_by: 'operator:owner', kind: 'document', size: bytes.length });
    const second = done(await sent(upload(bytes, { name: first.name, inputs: [first.artifact_id] })));
    expect(second).toMatchObject({ version: 2, sha256: first.sha256 });
    const { nodes } = await lineage({ artifact_id: first.artifact_id });
    expect(nodes.map(({ artifact }) => artifact.artifact_id)).toEqual([first.artifact_id, second.artifact_id]);
    expect(done(await deletion(first.artifact_id)).deleted_by).toBe('operator:owner');
    await settledRemovals();
    expect(await isStored(first.sha256)).toBe(true);
    done(await deletion(second.artifact_id));
    await untilRemoved(first.sha256);
  });

  it('takes no name of a mission, and nothing of a shared name away from what is the latest of one', async () => {
    const mission_id = newId('msn');
    const bytes = Buffer.from(`shared name ${newId('x')}`);
    const name = `shared/${newId('x')}`;
    const report = await keep('the report', { mission_id, name });
    const { sha256 } = await keep(bytes.toString());
    for (const taken of [`${mission_id}/task/report.md`, mission_id])
      expect(codeOf(await sent(upload(bytes, { name: taken })))).toBe('invalid');
    const newer = done(await sent(upload(bytes, { name, sha256 })));
    await expect(list({ mission_id, latest: true })).resolves.toMatchObject({ data: [report] });
    await expect(list({ name, latest: true })).resolves.toMatchObject({ data: [newer] });
    done(await deletion(newer.artifact_id));
  });

  it('of large bytes is joined, copied, read, and leaves nothing staged (U1)', async () => {
    const bytes = large();
    const artifact = done(await sent(upload(bytes, { staged: await staged(bytes) })));
    const { url } = await open(artifact.artifact_id);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    expect(await stagedKeys()).toEqual([]);
    // The same bytes again: what lies there stays.
    const again = done(await sent(upload(bytes, { staged: await staged(bytes) })));
    expect(again).toMatchObject({ sha256: artifact.sha256, version: 1 });
    expect(await stagedKeys()).toEqual([]);
  });

  it('whose bytes are others than was counted is refused, and leaves nothing (U1)', async () => {
    const bytes = large();
    const sha256 = sha256Hex(newId('x'));
    expect(codeOf(await sent(upload(bytes, { sha256, staged: await staged(bytes) })))).toBe('blob-differs');
    expect([await isStored(sha256), await stagedKeys()]).toEqual([false, []]);
    expect(codeOf(await sent(upload(Buffer.from(newId('x')))))).toBe('blob-absent');
    expect(codeOf(await client.request(VAULT_SUBJECTS.stage, { inputs: [newId('art')] }))).toBe('input-unknown');
  });

  it('is the same for the same key, and refused for other bytes or another name (U4)', async () => {
    const bytes = Buffer.from(`keyed ${newId('x')}`);
    const other = Buffer.from(`other ${newId('x')}`);
    await put(bytes);
    const asked = {
      actor: 'operator:owner',
      ...{ command_id: keyedId('cmd', newId('x')), request_digest: 'a'.repeat(64) },
    };
    const request = upload(bytes, { asked });
    const first = done(await sent(request));
    await expect(sent(request)).resolves.toMatchObject({ changed: false, body: first });
    await put(other);
    const digest = { asked: { ...asked, request_digest: 'b'.repeat(64) } };
    expect(codeOf(await sent({ ...upload(other, digest), name: first.name }))).toBe('idempotency-key-reused');
    expect(codeOf(await sent({ ...request, ...digest, name: 'another' }))).toBe('idempotency-key-reused');
    expect([await isStored(sha256Hex(other)), await isStored(first.sha256)]).toEqual([false, true]);
    expect((await versions({ artifact_id: first.artifact_id })).data).toHaveLength(1);
  });

  it('that is asked for again while it is recorded is recorded once (U3)', async () => {
    const bytes = large();
    const request = upload(bytes, { staged: await staged(bytes) });
    const [first, second] = await Promise.all([sent(request), sent(request)]);
    expect(done(second)).toEqual(done(first));
    expect((await versions({ artifact_id: done(first).artifact_id })).data).toHaveLength(1);
  });

  it('beside a removal of the same bytes is copied again (U2)', async () => {
    const bytes = large();
    const [one, two] = [await staged(bytes), await staged(bytes)];
    const first = done(await sent(upload(bytes, { staged: one })));
    const removal = holdRemovals();
    done(await deletion(first.artifact_id));
    await removal.reached;
    const sending = sent(upload(bytes, { staged: two }));
    expect(await Promise.race([sending.then(() => true), pause(300, false)])).toBe(false);
    removal.goOn();
    expect(done(await sending).sha256).toBe(first.sha256);
    expect(await isStored(first.sha256)).toBe(true);
  });

  it('that nobody brings to an end is removed, with parts or joined; one that is given up at once (U5)', async () => {
    const given_up = await staged(large());
    await client.request(VAULT_SUBJECTS.unstage, { upload_id: given_up.upload_id, store_id: given_up.store_id });
    expect(await stagedKeys()).toEqual([]);
    await client.request(VAULT_SUBJECTS.unstage, { upload_id: given_up.upload_id, store_id: given_up.store_id });

    const [begun, joined] = [await staged(large()), await staged(large())];
    const staging = vault.app.get(StagingStore, { strict: false });
    await staging.join(joined, joined.etags, UPLOAD_PART_BYTES + 13);
    await staging.join(joined, joined.etags, UPLOAD_PART_BYTES + 13);
    const swept = async (...asked: Parameters<StagingStore['sweep']>) => (await staging.sweep(...asked)).discarded;
    expect(await swept(3_600)).toEqual([]);
    expect(await swept(0, (upload_id) => upload_id === joined.upload_id)).toEqual([begun.upload_id]);
    await expect(staging.join(begun, begun.etags, 1)).rejects.toThrow(UploadLost);
    expect(await swept(0)).toEqual([joined.upload_id]);
    expect(await stagedKeys()).toEqual([]);
    await expect(staging.copy(joined, sha256Hex('x'), 1)).rejects.toThrow(UploadLost);
  });

  it('that is joined after it was given up is removed, and one that cannot be hinders no other (U5)', async () => {
    const uploads = vault.app.get(Uploads, { strict: false });
    const staging = vault.app.get(StagingStore, { strict: false });
    const places = [await staged(large()), await staged(large()), await staged(large())];
    const [late, stuck, last] = places.map(({ upload_id }) => upload_id).toSorted();
    const joined = places.find(({ upload_id }) => upload_id === late)!;
    await staging.join(joined, joined.etags, UPLOAD_PART_BYTES + 13);
    await bare.removeObject(config.s3.bucket, `staged/${late}/begun`);
    const discard = staging.discard.bind(staging);
    staging.discard = (place) =>
      place.upload_id === stuck ? Promise.reject(new BlobStoreUnavailable('give up an upload')) : discard(place);
    await uploads.sweep();
    expect(await stagedKeys()).toEqual([`staged/${late}/bytes`, `staged/${stuck}/begun`, `staged/${last}/begun`]);
    await uploads.sweep(0);
    expect(await stagedKeys()).toEqual([`staged/${stuck}/begun`]);
    staging.discard = discard;
    await uploads.sweep(0);
    expect(await stagedKeys()).toEqual([]);
  });

  it('whose bytes lie under their digest and were never recorded is removed, of whatever size (U5, W1–W3)', async () => {
    const uploads = vault.app.get(Uploads, { strict: false });
    const [small, bytes] = [Buffer.from(`never recorded ${newId('x')}`), large()];
    const kept = await keep(`recorded ${newId('x')}`);
    const [put_only, copied] = [await put(small), sha256Hex(bytes)];
    const place = await staged(bytes);
    const log = vault.app.get(EventLog, { strict: false });
    const execute = log.execute.bind(log);
    log.execute = () => Promise.reject(new Unavailable('log', 'away'));
    expect(codeOf(await sent(upload(bytes, { staged: place })))).toBe('unavailable');
    log.execute = execute;
    await client.request(VAULT_SUBJECTS.unstage, { upload_id: place.upload_id, store_id: place.store_id });
    const stored = () => Promise.all([put_only, copied, kept.sha256].map(isStored));

    await uploads.sweep();
    expect(await stored()).toEqual([true, true, true]);
    await uploads.sweep(0);
    expect(await stored()).toEqual([false, false, true]);

    // Whoever was given a URL before may still use it.
    await fetch(await blobs.putUrl(put_only), { method: 'PUT', body: small });
    await uploads.sweep(0);
    expect(await stored()).toEqual([false, false, true]);
    const database = vault.app.get(Database, { strict: false });
    const noted = async () => (await database.query('select from vault.blob_arrival')).rows.length;
    expect(await noted()).toBeGreaterThan(0);
    await database.query("update vault.blob_arrival set noted_at = noted_at - interval '2 hours'");
    await uploads.sweep();
    expect(await noted()).toBe(0);
  });
});

describe('a check', () => {
  it('says what it finds, and notes damage of everything that has the bytes when it begins and ends (C1)', async () => {
    const text = `checked ${newId('x')}`;
    const [one, two] = [await keep(text), await keep(text)];
    expect(done(await check(one.artifact_id))).toMatchObject({ result: 'match', sha256: one.sha256 });
    await fetch(await blobs.putUrl(one.sha256), { method: 'PUT', body: 'swapped' });
    const mismatch = { result: 'mismatch', found_sha256: sha256Hex('swapped'), found_size: 7 };
    expect(done(await check(one.artifact_id))).toMatchObject(mismatch);
    const damagedOnes = async () =>
      (await list({ damaged: true })).data.map(({ artifact_id }) => artifact_id).toSorted();
    const both = [one.artifact_id, two.artifact_id].toSorted();
    await eventually(async () => (await damagedOnes()).join() === both.join());
    expect((await get(two.artifact_id)).damage).toBe('changed');
    const events = await lastCommitOf(one.name);
    done(await check(one.artifact_id));
    expect(await lastCommitOf(one.name)).toBe(events);

    await blobs.remove(one.sha256);
    expect(done(await check(two.artifact_id))).toMatchObject({ result: 'missing' });
    await put(Buffer.from(text));
    expect(done(await check(two.artifact_id))).toMatchObject({ result: 'match' });
    await eventually(async () => (await damagedOnes()).length === 0);
    expect((await get(one.artifact_id)).damage).toBeUndefined();
  });

  it('reads bytes once for all who ask at a time, and few at once (C4)', async () => {
    const artifacts = await Promise.all(['a', 'b', 'c', 'd'].map((letter) => keep(`${letter} ${newId('x')}`)));
    const store = vault.app.get(BlobStore, { strict: false });
    const verify = store.verify.bind(store);
    let [reading, most, reads] = [0, 0, 0];
    const go = Promise.withResolvers<void>();
    store.verify = async (...asked) => {
      [reading, reads] = [reading + 1, reads + 1];
      most = Math.max(most, reading);
      await go.promise;
      const found = await verify(...asked);
      reading -= 1;
      return found;
    };
    const checks = Promise.all([...artifacts, ...artifacts].map(({ artifact_id }) => check(artifact_id)));
    await eventually(() => Promise.resolve(reads === 2));
    go.resolve();
    expect((await checks).map((reply) => done(reply).result)).toEqual(Array.from({ length: 8 }, () => 'match'));
    store.verify = verify;
    expect([most, reads]).toEqual([2, 4]);
  });

  it('finds damage in the background too, and says so (C2)', async () => {
    const checks = vault.app.get(BlobChecks, { strict: false });
    const lost = await keep(`lost ${newId('x')}`);
    await blobs.remove(lost.sha256);
    let rounds = 0;
    // Twice round: once from wherever it stands, once from the beginning.
    while (rounds < 2) if (!(await checks.checkNext(1_000_000_000))) rounds += 1;
    await eventually(async () => (await get(lost.artifact_id)).damage === 'lost');
    const damaged = (await list({ damaged: true })).data.length;
    expect(checks.state.damaged).toBe(damaged);
    // What is deleted troubles nobody any more.
    done(await deletion(lost.artifact_id));
    expect(checks.state.damaged).toBe(damaged - 1);
  });

  it('takes neither a bad reading nor a store that is away for damage (C2)', async () => {
    const [checks, store] = [vault.app.get(BlobChecks, { strict: false }), vault.app.get(BlobStore, { strict: false })];
    const artifact = await keep(`read badly ${newId('x')}`);
    const verify = store.verify.bind(store);
    const goRound = async () => {
      for (let rounds = 0; rounds < 2;) if (!(await checks.checkNext(1_000_000_000))) rounds += 1;
    };
    const events = await lastCommitOf(artifact.name);
    let bad = 0;
    store.verify = (sha256, ...rest) =>
      sha256 === artifact.sha256 && (bad += 1) % 2 === 1
        ? Promise.resolve({ kind: 'absent' })
        : verify(sha256, ...rest);
    await goRound();
    expect(bad).toBeGreaterThanOrEqual(2);
    expect(await lastCommitOf(artifact.name)).toBe(events);

    store.verify = () => Promise.reject(new Unavailable('vault-storage', 'away'));
    await expect(goRound()).rejects.toThrow('away');
    expect(codeOf(await check(artifact.artifact_id))).toBe('unavailable');
    store.verify = verify;
    expect(done(await check(artifact.artifact_id))).toMatchObject({ result: 'match' });
    expect((await list({ damaged: true })).data.map(({ artifact_id }) => artifact_id)).not.toContain(
      artifact.artifact_id,
    );
  });
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
