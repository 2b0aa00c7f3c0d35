// The supervisor with real components and a service of a few lines, killed in every way.

import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentReport, type Report } from './report.js';
import { supervise, type RunFile, type Stack, type SupervisorOptions } from './supervisor.js';

const SERVICE = `
import { createServer } from 'node:http';
const { OPS_PORT, PORT, HOST } = process.env;
createServer((_, response) => response.end('{"status":"ok"}')).listen(Number(OPS_PORT), '127.0.0.1');
createServer((_, response) => response.end(JSON.stringify(process.env))).listen(Number(PORT), HOST);
process.on('SIGTERM', () => process.exit(0));
`;

const root = mkdtempSync(join(tmpdir(), 'nexusmon-supervisor-'));
chmodSync(root, 0o711); // As root, PostgreSQL runs as another user, who must get through.
const script = join(root, 'dist', 'main.js');
mkdirSync(join(root, 'dist'));
writeFileSync(join(root, 'package.json'), '{"type":"module"}');
writeFileSync(script, SERVICE);

const stacks: Stack[] = [];
afterEach(async () => {
  await Promise.all(stacks.splice(0).map((stack) => stack.stop()));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
const newFolder = () => join(root, `data-${(folders += 1)}`);

const start = async (data_dir: string, changes: Partial<SupervisorOptions> = {}): Promise<Stack> => {
  const stack = await supervise({
    root,
    data_dir,
    working_dir: root,
    host: '127.0.0.1',
    port: 0,
    separate: false,
    json: false,
    began_at: Date.now(),
    binaries: {},
    environment: { OPERATOR_KEY: 'a key of my own choosing', NEXUS_MASTER_SECRET: 'a secret of my own choosing' },
    node: process.execPath,
    services: [{ name: 'standalone', script, serves_gateway: true }],
    report: silentReport,
    signal: new AbortController().signal,
    ...changes,
  });
  stacks.push(stack);
  return stack;
};

const readRun = (data_dir: string) => JSON.parse(readFileSync(join(data_dir, 'run.json'), 'utf8')) as RunFile;

const answers = (run: RunFile, name: string): Promise<unknown> => {
  if (name === 'standalone') return fetch(`${run.gateway_url}/health`);
  if (name === 'nats') return fetch(`${run.nats_monitor_url}/healthz`);
  if (name === 'minio') return fetch(`${run.s3_endpoint}/minio/health/live`);
  return Promise.resolve(true); // The supervisor's own probe opens a connection.
};

const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<number> => {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > 30_000) throw new Error(`${what} did not come about`);
    await delay(20);
  }
  return performance.now() - began;
};

describe('a running stack', () => {
  it('writes who it is into a file for its owner alone, and takes it away again (U4)', async () => {
    const folder = newFolder();
    const stack = await start(folder);
    const run = readRun(folder);
    expect(Object.keys(run.pids).sort()).toEqual(['minio', 'nats', 'postgres', 'standalone']);
    expect(statSync(join(folder, 'run.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(run.operator_key_file, 'utf8').trim()).toBe('a key of my own choosing');
    const environment = (await (await fetch(run.gateway_url)).json()) as Record<string, string>;
    expect(environment).not.toHaveProperty('NEXUS_MASTER_SECRET');
    expect(environment).not.toHaveProperty('OPERATOR_KEY');
    expect(environment['DATABASE_URL']).not.toContain('@');
    await stack.stop();
    expect(['run.json', 'lock', 'processes.json'].filter((name) => existsSync(join(folder, name)))).toEqual([]);
  });

  it('brings back what died, on the same port, with its data (U3)', async () => {
    const folder = newFolder();
    await start(folder);
    const before = readRun(folder);
    for (const [name, pid] of Object.entries(before.pids)) {
      process.kill(pid, 'SIGKILL');
      const changed = await until(`another ${name}`, () => readRun(folder).pids[name] !== pid);
      expect(changed).toBeLessThan(5_000);
      await until(`an answer of ${name}`, () => answers(before, name).then(Boolean, () => false));
    }
    const { pids: _before, ...addresses } = before;
    const { pids: _after, ...same } = readRun(folder);
    expect(same).toEqual(addresses);
  });

  it('lets nobody else onto its data folder', async () => {
    const folder = newFolder();
    await start(folder);
    await expect(start(folder)).rejects.toThrow(/another instance/);
    expect(existsSync(join(folder, 'run.json'))).toBe(true);
  });
});

describe('a start', () => {
  const busy: Server[] = [];
  afterEach(async () => {
    await Promise.all(busy.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  it('says that its port is busy, and leaves nothing running', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    busy.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const folder = newFolder();
    await expect(start(folder, { port })).rejects.toThrow(`port ${port} on 127.0.0.1 is busy`);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('says how a service ended that does not become ready, and stops the rest (U5)', async () => {
    const broken = join(root, 'dist', 'broken.js');
    writeFileSync(broken, `throw new Error('no disk today');`);
    const folder = newFolder();
    const services = [{ name: 'standalone', script: broken, serves_gateway: true }];
    await expect(start(folder, { services })).rejects.toThrow(/standalone did not start.*no disk today/s);
    expect(existsSync(join(folder, 'processes.json'))).toBe(false);
  });

  it.each([
    ['read_only', { standalone: 'an older copy' }],
    ['degraded', {}],
  ])('takes a service that says %s as up, and leaves it alone (U6)', async (status, read_only) => {
    const limited = join(root, 'dist', `${status}.js`);
    writeFileSync(limited, SERVICE.replace('{"status":"ok"}', `{"status":"${status}","reason":"an older copy"}`));
    const folder = newFolder();
    const said: string[] = [];
    const report: Report = { ...silentReport, say: (event) => said.push(event) };
    const services = [{ name: 'standalone', script: limited, serves_gateway: true }];
    const stack = await start(folder, { services, report });
    expect(stack.read_only()).toEqual(read_only);
    expect(said.filter((event) => event === status)).toHaveLength(status === 'degraded' ? 1 : 0);
    expect(existsSync(join(folder, 'run.json'))).toBe(true);

    process.kill(readRun(folder).pids['standalone'] ?? 0, 'SIGKILL');
    await until('a word of the one that is back', () => said.includes('restarted'));
    expect(said).toContain(status);
    expect(said).not.toContain('failed');
  });

  it('waits for a service that reads a long log for as long as it gets on (P4)', async () => {
    const reading = join(root, 'dist', 'reading.js');
    // Thrice as long as a service may stand still.
    const told = `JSON.stringify(Date.now() - began > 3_000 ? { status: 'ok' } : standing())`;
    const standing = `({ status: 'starting', details: { projections: { missions: { position: String(Date.now()) } } } })`;
    const code = SERVICE.replace(`'{"status":"ok"}'`, told);
    writeFileSync(reading, `const began = Date.now();\nconst standing = () => ${standing};${code}`);
    const said: string[] = [];
    const report: Report = { ...silentReport, say: (event) => said.push(event) };
    const services = [{ name: 'standalone', script: reading, serves_gateway: true }];
    const folder = newFolder();
    await start(folder, { services, report, ready_timeout_ms: 1_000 });
    expect(said).not.toContain('failed');
    expect(existsSync(join(folder, 'run.json'))).toBe(true);
  });

  it('does not wait for one that stands still', async () => {
    const stuck = join(root, 'dist', 'stuck.js');
    const told = `{"status":"starting","details":{"projections":{"missions":{"position":"7"}}}}`;
    writeFileSync(stuck, SERVICE.replace('{"status":"ok"}', told));
    const services = [{ name: 'standalone', script: stuck, serves_gateway: true }];
    await expect(start(newFolder(), { services, ready_timeout_ms: 500 })).rejects.toThrow(/standalone did not start/);
  });

  it('can be called off before it is ready', async () => {
    const off = new AbortController();
    const folder = newFolder();
    const starting = start(folder, { signal: off.signal });
    await until('a first process', () => existsSync(join(folder, 'processes.json')));
    off.abort();
    await expect(starting).rejects.toThrow();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('keeps the number of streams the log was born with (V2)', async () => {
    const folder = newFolder();
    const first = await start(folder, { services: [], environment: { NEXUSMON_STREAMS: '4' } });
    expect(first.addresses.streams).toBe(4);
    await first.stop();
    const second = await start(folder, { services: [], environment: { NEXUSMON_STREAMS: '1' } });
    expect(second.addresses.streams).toBe(4);
  });

  it('refuses a folder that is none', async () => {
    const path = join(root, 'a-file');
    writeFileSync(path, '');
    await expect(start(join(path, 'data'))).rejects.toThrow(/cannot be written/);
  });
});
