// A real nats-server, a counter to decide about, and keys in memory: what the specs of the log run against.

import { spawn, type ChildProcess } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { accept, nothing, reject, type Decider } from '@nexusmon/kernel';
import { Keyring, type SqlExecutor } from '@nexusmon/keys';
import { RequestMux } from '@nexusmon/messaging';
import { firstVersion, sealed } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { EventLog, type EventLogOptions } from './event-log.js';
import type { Aggregate, Identified } from './aggregate.js';
import { StoredCommit } from './commit.js';
import { EventStream } from './event-stream.js';
import { newId } from './ids.js';
import { streamName } from './names.js';
import { eventStreamConfig } from './start-checks.js';

export const freePort = async (): Promise<number> => {
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
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** What a spec that fails before its clean-up leaves running ends with it. */
const children = new Set<ChildProcess>();
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

export class NatsServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'nexusmon-log-'));
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    readonly monitor_port: number,
  ) {}

  static async start(sync: 'always' | '2m' = 'always', extra = ''): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), await freePort());
    writeFileSync(
      join(server.folder, 'nats.conf'),
      `host: 127.0.0.1\nport: ${server.port}\nhttp: 127.0.0.1:${server.monitor_port}\n` +
        `jetstream { store_dir: "${server.folder}/js", sync_interval: ${sync} }\n${extra}\n`,
    );
    await server.run();
    return server;
  }

  get url(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('the server does not run');
    return this.child.pid;
  }

  get monitor_url(): string {
    return `http://127.0.0.1:${this.monitor_port}`;
  }

  async run(): Promise<void> {
    const child = spawn('nats-server', ['-c', join(this.folder, 'nats.conf')], { stdio: 'ignore' });
    children.add(child.once('exit', () => children.delete(child)));
    this.child = child;
    while (!(await isOpen(this.port)) || !(await isOpen(this.monitor_port))) {
      // Somebody else may have taken its port in between: it is not waited for without end.
      if (child.exitCode !== null) throw new Error(`nats-server on ${this.url} ended with ${child.exitCode}`);
      await pause(5);
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.child) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
    this.child = undefined;
  }

  /** In order: it writes down what it knows of its files. */
  terminate(): Promise<void> {
    return this.kill('SIGTERM');
  }

  /** Everything that was stored is gone, as after a lost disk. */
  forget(): void {
    rmSync(join(this.folder, 'js'), { recursive: true, force: true });
  }

  /** Keeps what is stored now, for a `restore` that brings an older log back. */
  keep(): void {
    cpSync(join(this.folder, 'js'), join(this.folder, 'kept'), { recursive: true });
  }

  restore(): void {
    this.forget();
    cpSync(join(this.folder, 'kept'), join(this.folder, 'js'), { recursive: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Stands between a client and the server, and loses what it is told to lose. */
export class Proxy {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private mode: 'pass' | 'lose replies' | 'lose requests' | 'hold replies' = 'pass';
  private held: (() => void)[] = [];
  private lost = '';
  private readonly watchers: { text: string; resolve: () => void }[] = [];

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(target_port: number): Promise<Proxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new Proxy(server, address.port);
    server.on('connection', (client) => proxy.join(client, dial(target_port, '127.0.0.1')));
    return proxy;
  }

  loseReplies(): void {
    this.mode = 'lose replies';
  }

  loseRequests(): void {
    this.mode = 'lose requests';
  }

  holdReplies(): void {
    this.mode = 'hold replies';
  }

  releaseReplies(): void {
    this.mode = 'pass';
    for (const release of this.held.splice(0)) release();
  }

  /** Breaks every connection, and loses nothing from then on. */
  sever(): void {
    this.mode = 'pass';
    this.lost = '';
    for (const [client, server] of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Resolves once a request with this text has been lost. */
  untilLost(text: string): Promise<void> {
    if (this.lost.includes(text)) return Promise.resolve();
    return new Promise((resolve) => this.watchers.push({ text, resolve }));
  }

  async close(): Promise<void> {
    this.sever();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.pairs.add(pair);
    client.on('data', (chunk: Buffer) => {
      if (this.mode === 'lose requests') this.lose(chunk);
      else server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (this.mode === 'hold replies') this.held.push(() => client.write(chunk));
      else if (this.mode !== 'lose replies') client.write(chunk);
    });
    for (const socket of pair) {
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
  }

  private lose(chunk: Buffer): void {
    this.lost += chunk.toString('latin1');
    for (const { text, resolve } of this.watchers) if (this.lost.includes(text)) resolve();
  }
}

export const createStream = async (server: NatsServer, changes: object = {}, count = 1): Promise<void> => {
  const connection = await connect({ servers: server.url });
  const manager = await jetstreamManager(connection);
  for (let number = 0; number < count; number += 1)
    await manager.streams.add({ ...eventStreamConfig(number, count), ...changes });
  await connection.close();
};

/** Rows of keys.data_key in memory, asked in the keyring's own SQL. */
export const keysInMemory = (): SqlExecutor => {
  const rows = new Map<string, { key_id: string; owner: string | null; wrapped: string | null }>();
  return {
    query: (sql, parameters) => {
      const text = parameters.map(String);
      if (sql.startsWith('insert into keys.data_key (key_id, wrapped)'))
        for (let at = 0; at < text.length; at += 2)
          rows.set(text[at] ?? '', { key_id: text[at] ?? '', owner: null, wrapped: text[at + 1] ?? '' });
      else if (sql.startsWith('update')) rows.set(text[0] ?? '', { key_id: text[0] ?? '', owner: null, wrapped: null });
      else if (sql.includes('any($1)'))
        return Promise.resolve({ rows: (parameters[0] as string[]).flatMap((key_id) => rows.get(key_id) ?? []) });
      else throw new Error(`not expected here: ${sql}`);
      return Promise.resolve({ rows: [] });
    },
  };
};

export const keyringInMemory = (): Keyring =>
  new Keyring({ sql: keysInMemory(), wrap_key: createSecretKey(randomBytes(32)) });

export type Tally = Readonly<{ total: number; notes: readonly string[]; ballast: string }>;
export type TallyCommand =
  | Readonly<{ type: 'Add'; actor: string; time: string; data: { by: number; note?: string; events?: number } }>
  | Readonly<{ type: 'Fill'; actor: string; time: string; data: { ballast: string } }>
  | Readonly<{ type: 'Limit'; actor: string; time: string; data: { to: number } }>;
export type TallyEvent =
  | Readonly<{ type: 'Added'; actor: string; time: string; data: { by: number; note?: string | undefined } }>
  | Readonly<{ type: 'Filled'; actor: string; time: string; data: { ballast: string } }>;
export type TallyRefusal = Readonly<{ code: 'too-much' }>;

const decider: Decider<Tally, TallyCommand, TallyEvent, TallyRefusal> = {
  initial: { total: 0, notes: [], ballast: '' },
  decide: (command, state) => {
    const { actor, time } = command;
    if (command.type === 'Fill') return accept({ type: 'Filled', actor, time, data: command.data });
    if (command.type === 'Limit') return state.total > command.data.to ? reject({ code: 'too-much' }) : nothing;
    const { by, note, events = 1 } = command.data;
    if (by === 0) return nothing;
    const data = note === undefined ? { by } : { by, note };
    return accept(...Array.from({ length: events }, () => ({ type: 'Added', actor, time, data }) as const));
  },
  evolve: (state, event) => {
    if (event.type === 'Filled') return { ...state, ballast: event.data.ballast };
    const { by, note } = event.data;
    return {
      ...state,
      total: state.total + by,
      notes: note === undefined ? state.notes : [...state.notes, note].slice(-20),
    };
  },
};

export const tally: Aggregate<Tally, TallyCommand, TallyEvent, TallyRefusal> = {
  context: 'mission',
  name: 'tally',
  decider,
  events: {
    Added: firstVersion(z.strictObject({ by: z.number(), note: sealed(z.string()).optional() })),
    Filled: firstVersion(z.strictObject({ ballast: z.string() })),
  },
};

const actor = 'operator:ada';
export const identified = (
  command: Identified<TallyCommand>['command'],
  changes: object = {},
): Identified<TallyCommand> => ({
  command_id: newId('cmd'),
  correlation_id: 'msn_x',
  command,
  ...changes,
});
export const add = (by: number, changes: object = {}, data: object = {}): Identified<TallyCommand> =>
  identified({ type: 'Add', actor, data: { by, ...data } }, changes);
export const fill = (bytes: number): Identified<TallyCommand> =>
  identified({ type: 'Fill', actor, data: { ballast: 'x'.repeat(bytes) } });
export const limit = (to: number, changes: object = {}): Identified<TallyCommand> =>
  identified({ type: 'Limit', actor, data: { to } }, changes);

export type Opened = Readonly<{
  log: EventLog;
  connection: NatsConnection;
  mux: RequestMux;
  fatal: Error[];
  close: () => Promise<void>;
}>;

export const openLog = async (
  server: NatsServer,
  options: Partial<EventLogOptions> & { port?: number; user?: string; pass?: string } = {},
): Promise<Opened> => {
  const { port = server.port, user, pass, ...rest } = options;
  const connection = await connect({
    servers: `127.0.0.1:${port}`,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
    reconnectJitter: 5,
    ...(user === undefined || pass === undefined ? {} : { user, pass }),
  });
  const mux = new RequestMux(connection, '_INBOX_mission');
  const fatal: Error[] = [];
  const log = new EventLog({
    connection,
    mux,
    keyring: keyringInMemory(),
    monitor: { monitor_url: server.monitor_url },
    onFatal: (error) => fatal.push(error),
    ...rest,
  });
  return { log, connection, mux, fatal, close: () => connection.close() };
};

/** Every commit of stream 0, as the server has them. */
export const allCommits = async ({ mux }: Opened): Promise<StoredCommit[]> => {
  const stream = new EventStream(mux, 0, streamName(0));
  const { state } = await stream.info();
  const commits: StoredCommit[] = [];
  for (let sequence = 1; sequence <= state.last_seq; sequence += 1) {
    const message = await stream.at(sequence);
    if (message) commits.push(new StoredCommit(message));
  }
  return commits;
};

/** Waits until the stream has this many messages. */
export const untilStored = async ({ mux }: Opened, count: number): Promise<void> => {
  const stream = new EventStream(mux, 0, streamName(0));
  while ((await stream.info()).state.last_seq < count) await pause(5);
};
