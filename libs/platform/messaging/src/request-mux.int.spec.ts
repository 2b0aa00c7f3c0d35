import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { headers as newHeaders, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { ConnectionLost, NoResponders, RequestMux, RequestNotPermitted, RequestTimedOut } from './request-mux.js';

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = dial(port, '127.0.0.1');
    socket.once('connect', () => resolve(Boolean(socket.destroy())));
    socket.once('error', () => resolve(false));
  });

let port: number;
let server: ChildProcess;
let requester: NatsConnection;
let responder: NatsConnection;
let mux: RequestMux;

const startServer = async (): Promise<void> => {
  server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  while (!(await isOpen(port))) await pause(5);
};
const stopServer = async (): Promise<void> => {
  const exited = once(server, 'exit');
  server.kill('SIGKILL');
  await exited;
};
const join = () => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 20 });

beforeAll(async () => {
  port = await freePort();
  await startServer();
});
afterAll(stopServer);
beforeEach(async () => {
  [requester, responder] = await Promise.all([join(), join()]);
  mux = new RequestMux(requester, '_INBOX_mission');
  responder.subscribe('echo', { callback: (_, message) => void message.respond(message.data) });
  responder.subscribe('silent', { callback: () => undefined });
  await Promise.all([requester.flush(), responder.flush()]);
});
afterEach(() => Promise.all([requester.close(), responder.close()]));

describe('a request', () => {
  it('gets its own reply, among many (X1)', async () => {
    const asked = Array.from({ length: 500 }, (_, index) => String(index));
    const replies = await Promise.all(asked.map((text) => mux.request('echo', text, { timeout_ms: 5_000 })));
    expect(replies.map((reply) => reply.string())).toEqual(asked);
    expect(mux.size).toBe(0);
  });

  it('carries headers', async () => {
    const headers = newHeaders();
    headers.set('Nexusmon-Schema', '1');
    responder.subscribe('headed', {
      callback: (_, message) => void message.respond(message.headers?.get('Nexusmon-Schema')),
    });
    await responder.flush();
    expect((await mux.request('headed', '', { timeout_ms: 5_000, headers })).string()).toBe('1');
  });

  it('takes an empty reply for a reply', async () => {
    expect((await mux.request('echo', '', { timeout_ms: 5_000 })).data).toHaveLength(0);
  });

  it('fails by name when nobody listens', async () => {
    await expect(mux.request('nobody', '', { timeout_ms: 5_000 })).rejects.toThrow(NoResponders);
  });

  it('fails by name when nobody replies in time, and leaves nothing behind', async () => {
    const started_ms = performance.now();
    await expect(mux.request('silent', '', { timeout_ms: 60 })).rejects.toThrow(RequestTimedOut);
    expect(performance.now() - started_ms).toBeGreaterThanOrEqual(59);
    expect(mux.size).toBe(0);
  });

  it('fails at once when the connection breaks under it (X3)', async () => {
    const request = mux.request('silent', '', { timeout_ms: 60_000 });
    const failed = expect(request).rejects.toThrow(ConnectionLost);
    await stopServer();
    await failed;
    await startServer();
  });

  it('made while the connection is down is sent when it is back (X2)', async () => {
    const broken = expect(mux.request('silent', '', { timeout_ms: 60_000 })).rejects.toThrow(ConnectionLost);
    await stopServer();
    await broken;
    const late = mux.request('silent', '', { timeout_ms: 50 });
    await expect(late).rejects.toThrow(RequestTimedOut);
    const sent = mux.request('echo', 'back', { timeout_ms: 20_000 }).catch((error: unknown) => error);
    await startServer();
    // Whether the responder or the requester is back first is the machine's choice; that it was sent is not.
    const settled = await sent;
    if (!(settled instanceof NoResponders))
      expect(settled).toMatchObject({ subject: expect.stringContaining('_INBOX') });
  });

  it('fails when the connection is closed', async () => {
    const request = mux.request('silent', '', { timeout_ms: 60_000 });
    const failed = expect(request).rejects.toThrow(ConnectionLost);
    await requester.close();
    await failed;
    await expect(mux.request('echo', '', { timeout_ms: 60_000 })).rejects.toThrow();
  });
});

describe('a request that is not permitted', () => {
  it('fails by name and at once', async () => {
    const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const folder = mkdtempSync(`${tmpdir()}/nexusmon-mux-`);
    const guarded_port = await freePort();
    writeFileSync(
      `${folder}/nats.conf`,
      `host: 127.0.0.1\nport: ${guarded_port}\nauthorization { users [ {user: a, password: a, permissions: {` +
        ' publish: ["cmd.>"], subscribe: ["_INBOX_a.>"]}} ] }\n',
    );
    const guarded = spawn('nats-server', ['-c', `${folder}/nats.conf`], { stdio: 'ignore' });
    while (!(await isOpen(guarded_port))) await pause(5);
    const connection = await connect({ servers: `127.0.0.1:${guarded_port}`, user: 'a', pass: 'a' });
    const limited = new RequestMux(connection, '_INBOX_a');
    await expect(limited.request('evt.00.x', '', { timeout_ms: 20_000 })).rejects.toThrow(RequestNotPermitted);
    await expect(limited.request('cmd.x', '', { timeout_ms: 20_000 })).rejects.toThrow(NoResponders);
    await connection.close();
    const exited = once(guarded, 'exit');
    guarded.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true });
  });
});
