// A log that is not the one that was written: the product comes up to be looked at, says why, and writes nothing.

import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { Client, eventually, Product, type Problem } from './support/product.js';

const STREAM = 'NEXUSMON_EVENTS_0';
const PLAN = { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] };

const products: Product[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(products.splice(0).map((product) => product.stop()));
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nexusmon-read-only-'));
  folders.push(folder);
  return folder;
};

const start = async (options: Parameters<typeof Product.start>[0]) => {
  const product = await Product.start(options);
  products.push(product);
  return product;
};

const asAdmin = async <Answer>(
  product: Product,
  work: (connection: Awaited<ReturnType<typeof connect>>) => Promise<Answer>,
): Promise<Answer> => {
  const admin = JSON.parse(await readFile(join(product.data_dir, 'secrets/admin.json'), 'utf8')) as {
    nats_user: string;
    nats_password: string;
  };
  const { nats_user: user, nats_password: pass } = admin;
  const servers = new URL((await product.run()).nats_url).host;
  const connection = await connect({ servers, user, pass, inboxPrefix: `_INBOX_${user}` });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
};

/** How far the server has counted, whatever the product believes. */
const lastSequence = (product: Product): Promise<number> =>
  asAdmin(
    product,
    async (connection) => (await (await jetstreamManager(connection)).streams.info(STREAM)).state.last_seq,
  );

const createMission = async (client: Client, body: object = {}): Promise<MissionDocument> => {
  const answer = await client.post<MissionDocument>('/v1/engine/missions', { goal: 'stay', plan: PLAN, ...body });
  expect(answer.status).toBe(201);
  return client.until(answer.body.mission_id, ({ status }) => ['completed', 'awaiting_approval'].includes(status));
};

const idsOf = async (client: Client): Promise<string[]> => {
  const { status, body } = await client.get<{ data: MissionDocument[] }>('/v1/engine/missions');
  expect(status).toBe(200);
  return body.data.map(({ mission_id }) => mission_id).sort();
};

const READ_ONLY = /^READ-ONLY: /;

/** Ready, with the reason before that line, and nothing given up or started again on the way. */
const expectReadOnly = async (product: Product, reason: RegExp): Promise<void> => {
  const told = product.output.findIndex((line) => READ_ONLY.test(line));
  expect(product.output[told]).toMatch(reason);
  expect(product.output.findIndex((line) => line.startsWith('ready '))).toBeGreaterThan(told);
  expect(product.output.filter((line) => /again in|is back|did not start/.test(line))).toEqual([]);
  const { ops_urls } = await product.run();
  for (const url of Object.values(ops_urls)) {
    const health = await fetch(`${url}/health`);
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'read_only' }]);
    expect((await fetch(`${url}/ready`)).status).toBe(503);
  }
  const anyone = await product.anyone();
  expect(await anyone.get('/health')).toMatchObject({ status: 503, body: { status: 'read_only' } });
};

const expectNothingWritten = async (product: Product, client: Client, paths: readonly string[], reason: RegExp) => {
  const before = await lastSequence(product);
  for (const path of paths) {
    const body = path.endsWith('missions') ? { goal: 'no', plan: PLAN } : { reason: 'no' };
    const answer = await client.post<Problem>(path, body, client.sovereign);
    expect([path, answer.status, answer.body.code]).toEqual([path, 503, 'log-read-only']);
    expect(answer.body.detail).toMatch(reason);
    expect(JSON.stringify(answer.body)).not.toMatch(/carried out|send the request again/i);
  }
  expect(await lastSequence(product)).toBe(before);
};

/** One bit of what the store has of the first event of this name. */
const flipIn = async (store: string, name: string): Promise<void> => {
  const blocks = (await readdir(store, { recursive: true })).filter((path) => path.endsWith('.blk')).sort();
  const path = join(store, blocks[0] ?? '');
  const bytes = await readFile(path);
  const at = bytes.indexOf(name);
  expect(at).toBeGreaterThan(0);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
};

describe('a log that is not the one that the views have read', () => {
  it('is read, not written, and said to be another: a rotten bit, an older copy, then a new stream', async () => {
    const data_dir = await newFolder();
    const copy = join(await newFolder(), 'nats');
    const store = join(data_dir, 'nats');
    const first = await start({ data_dir });
    const { token, operator_key } = await first.operator();
    const operatorOf = async (product: Product) => new Client((await product.run()).gateway_url, token, operator_key);
    const operator = await operatorOf(first);
    const { mission_id: waiting } = await createMission(operator, { rank: 'A' });
    type Approvals = Readonly<{ data: readonly Readonly<{ approval_id: string }>[] }>;
    const approvals = async () => (await operator.get<Approvals>('/v1/approvals')).body.data;
    await eventually(async () => (await approvals()).length > 0);
    const [approval] = await approvals();
    await first.stop();
    await cp(store, copy, { recursive: true });

    await flipIn(store, 'MissionCreated');
    const rotten = await start({ data_dir });
    const is_rotten = /NEXUSMON_EVENTS_0 (has|ends|begins)|message \d+ of NEXUSMON_EVENTS_0/;
    await expectReadOnly(rotten, is_rotten);
    await expectNothingWritten(rotten, await operatorOf(rotten), ['/v1/engine/missions'], is_rotten);
    await rotten.stop();
    await rm(store, { recursive: true });
    await cp(copy, store, { recursive: true });

    const second = await start({ data_dir });
    const { mission_id: lost } = await createMission(await operatorOf(second));
    const reached = await lastSequence(second);

    await asAdmin(second, (connection) => jetstream(connection).publish('evt.00.mission.mission.msn_1', 'no commit'));
    const is_no_commit = /message \d+ on evt\.00\.mission\.mission\.msn_1 is not a commit/;
    const witness = await operatorOf(second);
    await eventually(async () => (await witness.get<{ status: string }>('/health')).body.status === 'read_only');
    await expectNothingWritten(second, witness, ['/v1/engine/missions'], is_no_commit);
    expect(await idsOf(witness)).toEqual([waiting, lost].sort());
    expect(second.output.filter((line) => /again in|is back/.test(line))).toEqual([]);
    await second.stop();
    await rm(store, { recursive: true });
    await cp(copy, store, { recursive: true });

    const older = await start({ data_dir });
    const is_shorter = /NEXUSMON_EVENTS_0 ends at \d+, and checkpoint \S+ has read \d+/;
    await expectReadOnly(older, is_shorter);
    expect(await lastSequence(older)).toBeLessThan(reached);
    const reader = await operatorOf(older);
    expect(await idsOf(reader)).toEqual([waiting, lost].sort());
    const health = await reader.get<{ checks: { nats: { detail: string } } }>('/v1/system/health');
    expect(health.body.checks.nats.detail).toMatch(is_shorter);
    const writes = [
      '/v1/engine/missions',
      `/v1/engine/missions/${waiting}/approve`,
      `/v1/engine/missions/${waiting}/cancel`,
      `/v1/approvals/${approval?.approval_id ?? ''}/grant`,
    ];
    await expectNothingWritten(older, reader, writes, is_shorter);
    await older.stop();

    await rm(join(store, 'store'), { recursive: true });
    const anew = await start({ data_dir, args: ['--json'] });
    const is_another = /NEXUSMON_EVENTS_0 is not the stream that checkpoint \S+ has read/;
    const told = anew.output.map((line) => (line.startsWith('{') ? (JSON.parse(line) as object) : {}));
    expect(told).toContainEqual(
      expect.objectContaining({ event: 'read_only', services: { standalone: expect.stringMatching(is_another) } }),
    );
    // The old session is in the old log: a new one is good for looking.
    const looker = await anew.operator();
    expect(await idsOf(looker)).toEqual([waiting, lost].sort());
    await expectNothingWritten(anew, looker, ['/v1/engine/missions'], is_another);
    expect(await lastSequence(anew)).toBe(0);
  });
});

type Elsewhere = Readonly<{ url: string; monitor_url: string; stop: () => Promise<void> }>;

/** A server as it comes: it syncs now and then. */
const startNats = async (): Promise<Elsewhere> => {
  const folder = await newFolder();
  const config = join(folder, 'nats.conf');
  const settings = {
    listen: '127.0.0.1:-1',
    http: '127.0.0.1:-1',
    ports_file_dir: folder,
    max_payload: 8 * 1024 * 1024,
    jetstream: { store_dir: join(folder, 'store') },
    authorization: { users: [{ user: 'nexusmon', password: 'elsewhere' }] },
  };
  await writeFile(config, JSON.stringify(settings));
  const programs = pathToFileURL(resolve(import.meta.dirname, '../tools/start/programs.mjs')).href;
  const { ensureProgram } = (await import(programs)) as {
    ensureProgram: (name: string, environment: NodeJS.ProcessEnv) => Promise<string>;
  };
  const server = spawn(await ensureProgram('nats_server', process.env), ['--config', config], { stdio: 'ignore' });
  const exited = once(server, 'exit');
  const ports = join(folder, `nats-server_${server.pid}.ports`);
  await eventually(() => Promise.resolve(existsSync(ports)));
  expect((await readdir(folder)).filter((name) => name.endsWith('.ports'))).toHaveLength(1);
  const { nats, monitoring } = JSON.parse(await readFile(ports, 'utf8')) as { nats: string[]; monitoring: string[] };
  const url = new URL(nats[0] ?? '');
  [url.username, url.password] = ['nexusmon', 'elsewhere'];
  return {
    url: url.toString(),
    monitor_url: monitoring[0] ?? '',
    stop: async () => {
      server.kill('SIGTERM');
      await exited;
    },
  };
};

describe('a log on a server that acknowledges before it has synced', () => {
  it('is read, not written, by every service', async () => {
    const nats = await startNats();
    try {
      const env = { NATS_URL: nats.url, NATS_MONITOR_URL: nats.monitor_url };
      const product = await start({ data_dir: await newFolder(), env });
      const reason = /sync_interval must be always/;
      await expectReadOnly(product, reason);
      const operator = await product.operator();
      expect(await idsOf(operator)).toEqual([]);
      await expectNothingWritten(product, operator, ['/v1/engine/missions'], reason);
      expect(await lastSequence(product)).toBe(0);
      await product.stop();
    } finally {
      await nats.stop();
    }
  });
});
