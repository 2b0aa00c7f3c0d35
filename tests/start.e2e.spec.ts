// What a start promises: one command, one file that says where everything is, and a folder that outlives every end.

import { afterEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { Product, type Client } from './support/product.js';

const START = resolve(import.meta.dirname, '../tools/start.mjs');
const SERVICES = [
  'evolution-service',
  'gateway',
  'governance-service',
  'mission-service',
  'vault-service',
  'worker-runner',
];

const products: Product[] = [];
const folders: string[] = [];
afterEach(async () => {
  const ended = products.splice(0);
  await Promise.all(ended.map((product) => product.stop()));
  for (const folder of [...ended.map(({ data_dir }) => data_dir), ...folders.splice(0)])
    await rm(folder, { recursive: true, force: true });
});

const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nexusmon-start-'));
  folders.push(folder);
  return folder;
};

const start = async (options: Parameters<typeof Product.start>[0] = {}) => {
  const product = await Product.start(options);
  products.push(product);
  return product;
};

/** A start that is expected to end by itself. */
const refusedStart = async (args: string[], env: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [START, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, said };
};

const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

/** The supervisor of a data folder. */
const holderOf = async (data_dir: string): Promise<number> =>
  (JSON.parse(await readFile(join(data_dir, 'lock'), 'utf8')) as { pid: number }).pid;

/** Before 22.15 a process of Node's could not become another. */
const AS_OLDER_NODE = '--import=data:text/javascript,delete%20process.execve';

const createMission = async (client: Client) => {
  const body = {
    goal: 'outlive every end',
    plan: { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] },
  };
  const { status, body: mission } = await client.post<MissionDocument>('/v1/engine/missions', body, {
    prefer: 'wait=30',
  });
  expect([status, mission.status]).toEqual([200, 'completed']);
  return mission.mission_id;
};

/** The addresses, as the kernel writes them, on which somebody listens on this port. */
const listeningOn = (port: number): string[] =>
  ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((table) => readFileSync(table, 'utf8').trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => state === '0A' && parseInt(local.split(':')[1] ?? '', 16) === port)
    .map(([, local = '']) => local.split(':')[0] ?? '');
const LOOPBACK = ['0100007F', '00000000000000000000000001000000'];

describe('a start', () => {
  it('says where everything is, to its owner, for as long as it is there', async () => {
    const product = await start();
    const { data_dir } = product;
    const path = join(data_dir, 'run.json');
    const run = await product.run();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(Object.keys(run.pids).sort()).toEqual(['minio', 'nats', 'postgres', 'standalone']);
    expect(product.output.filter((line) => line.startsWith('ready'))).toHaveLength(1);
    const key = (await readFile(run.operator_key_file, 'utf8')).trim();
    expect(product.output.join('\n')).toContain(run.operator_key_file);
    expect(product.output.join('\n')).not.toContain(key);
    for (const url of [run.gateway_url, run.nats_url, run.database_url, run.s3_endpoint]) {
      const addresses = listeningOn(Number(new URL(url).port));
      expect(addresses.length).toBeGreaterThan(0);
      expect(addresses.filter((address) => !LOOPBACK.includes(address))).toEqual([]);
    }

    const began = performance.now();
    expect(await product.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(existsSync(path)).toBe(false);
    expect(Object.values(run.pids).filter(isAlive)).toEqual([]);
  });

  it('finds everything again, also after a kill -9 of the supervisor', async () => {
    const data_dir = await newFolder();
    const first = await start({ data_dir });
    const before = await first.run();
    const mission_id = await createMission(await first.operator());
    // What was started has become the supervisor.
    expect(await holderOf(data_dir)).toBe(first.pid);
    process.kill(first.pid, 'SIGKILL');

    const second = await start({ data_dir });
    expect(Object.values(before.pids).filter(isAlive)).toEqual([]);
    expect(await (await second.operator()).mission(mission_id)).toMatchObject({ status: 'completed' });
    await second.stop();

    const third = await start({ data_dir, args: ['--separate'] });
    expect(Object.keys((await third.run()).pids).sort()).toEqual([...SERVICES, 'minio', 'nats', 'postgres'].sort());
    const operator = await third.operator();
    expect(await operator.mission(mission_id)).toMatchObject({ status: 'completed' });
    await createMission(operator);
  });

  it('stops when what started it is killed, where that could not become the supervisor', async () => {
    const data_dir = await newFolder();
    const product = await start({ data_dir, env: { NODE_OPTIONS: AS_OLDER_NODE } });
    const { pids } = await product.run();
    expect(await holderOf(data_dir)).not.toBe(product.pid);
    process.kill(product.pid, 'SIGKILL');
    const again = await start({ data_dir });
    expect(Object.values(pids).filter(isAlive)).toEqual([]);
    await createMission(await again.operator());
  });

  it('may happen twice from one clone, on two folders', async () => {
    const both = await Promise.all([start(), start()]);
    const operators = await Promise.all(both.map((product) => product.operator()));
    const [mission_id = ''] = await Promise.all(operators.map(createMission));
    const { status } = await operators[1]!.get(`/v1/engine/missions/${mission_id}`);
    expect(status).toBe(404);
  });

  it('writes its progress as JSON lines where that is asked for', async () => {
    const product = await start({ args: ['--json'] });
    const lines = product.output.filter((line) => !line.startsWith('ready'));
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const { gateway_url } = await product.run();
    expect(events.at(-1)).toMatchObject({ event: 'ready', gateway_url });
    expect(events.filter(({ state }) => state === 'done').map(({ step }) => step)).toContain('start postgres');
  });
});

describe('a start that cannot be', () => {
  it('says in one line that its folder is taken', async () => {
    const { data_dir } = await start();
    const { code, said } = await refusedStart(['--port', '0', '--data-dir', data_dir]);
    expect([code, said.trim().split('\n').length]).toEqual([1, 1]);
    expect(said).toMatch(/^nexusmon: another instance \(process \d+\) runs on /);
  });

  it('says in one line that its port is busy', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, said } = await refusedStart(['--port', String(port), '--data-dir', await newFolder()]);
    server.close();
    expect([code, said]).toEqual([
      1,
      `nexusmon: port ${port} on 127.0.0.1 is busy; choose another with --port, or --port 0 for a free one\n`,
    ]);
  });

  it.each([join(START, 'data'), '/proc/data'])('says in one line that %s cannot be written', async (data_dir) => {
    const { code, said } = await refusedStart(['--data-dir', data_dir]);
    expect([code, said.trim().split('\n').length]).toEqual([1, 1]);
    expect(said).toMatch(/^nexusmon: the data folder .* cannot be written/);
  });

  it.each([
    { env: { SWARMZ_JWT_SECRET: 'x'.repeat(31) }, says: /^nexusmon: SWARMZ_JWT_SECRET must have at least 32 bytes/ },
    { env: { OPERATOR_KEY: ' nexusmon_sovereign_key ' }, says: /^nexusmon: OPERATOR_KEY is the published example key/ },
  ])('says in one line, before anything is started, what is wrong with a key: $says', async ({ env, says }) => {
    const data_dir = await newFolder();
    const { code, said } = await refusedStart(['--port', '0', '--data-dir', data_dir], env);
    expect([code, said.trim().split('\n').length]).toEqual([1, 1]);
    expect(said).toMatch(says);
    expect(existsSync(join(data_dir, 'logs'))).toBe(false);
  });
});
