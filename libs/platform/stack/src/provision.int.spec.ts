// What a server of somebody else's must be able to do before anything is made in it.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from './free-ports.js';
import { provisionLog } from './provision.js';

const folder = mkdtempSync(join(tmpdir(), 'nexusmon-provision-'));
const ADMIN = { user: 'admin', password: 'elsewhere' };
const servers: ChildProcess[] = [];

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(Boolean(socket.destroy())));
    socket.once('error', () => resolve(false));
  });

const startNats = async (name: string, port: number, max_payload: number): Promise<string> => {
  const config = join(folder, `${name}.conf`);
  const store_dir = join(folder, name);
  const users = [ADMIN];
  const settings = { listen: `127.0.0.1:${port}`, max_payload, jetstream: { store_dir }, authorization: { users } };
  writeFileSync(config, JSON.stringify(settings));
  servers.push(spawn('nats-server', ['--config', config], { stdio: 'ignore' }));
  while (!(await isOpen(port))) await pause(5);
  return `nats://127.0.0.1:${port}`;
};

const MIB = 1024 * 1024;
let small: string;
let large: string;

beforeAll(async () => {
  const [first = 0, second = 0] = await freePorts(2);
  [small, large] = await Promise.all([startNats('small', first, MIB), startNats('large', second, 8 * MIB)]);
});
afterAll(async () => {
  for (const server of servers) {
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }
  rmSync(folder, { recursive: true });
});

describe('a NATS server elsewhere', () => {
  it('that takes small messages only is refused by name, and nothing is made in it (V5)', async () => {
    const says = 'the NATS server takes messages of 1048576 bytes at most: set max_payload to 8388608 (8 MiB)';
    await expect(provisionLog(small, ADMIN, 1)).rejects.toMatchObject({ name: 'StartFault', message: says });
  });

  it('that takes large ones gets the streams, as many as it was born with (V2)', async () => {
    expect(await provisionLog(large, ADMIN, 2)).toBe(2);
    expect(await provisionLog(large, ADMIN, 4)).toBe(2);
  });
});
