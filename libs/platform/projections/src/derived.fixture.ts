// Real servers, a tally to derive from, and what one process would have open: what the specs of this package run on.

import { createSecretKey } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connectNats, RequestMux } from '@nexusmon/messaging';
import { EventLog, newId, type Aggregate, type EventLogOptions, type Identified } from '@nexusmon/event-log';
import { accept, nothing, type Decider } from '@nexusmon/kernel';
import { Keyring } from '@nexusmon/keys';
import { firstVersion, sealed } from '@nexusmon/shared-contract';
import { startComponents, type ComponentSet } from '@nexusmon/stack';
import { silentLogger } from '@nexusmon/telemetry';
import { z } from 'zod';
import { checkpointDdl } from './checkpoint.js';
import { Database } from './database.js';
import { LogFeed } from './log-feed.js';
import { migrate, Migration } from './migrate.js';
import { aggregateProjection, aggregateViewDdl } from './projection.js';
import { Projections } from './projections.js';

export type Tally = Readonly<{ total: number; notes: readonly string[] }>;
type Data = { by: number; note: string };
export type Add = Readonly<{ type: 'Add'; actor: string; time: string; data: Data }>;
export type Added = Readonly<{ type: 'Added'; actor: string; time: string; data: Data }>;

const NOTES_MAX = 5;
const decider: Decider<Tally, Add, Added, never> = {
  initial: { total: 0, notes: [] },
  decide: ({ actor, time, data }) => (data.by === 0 ? nothing : accept({ type: 'Added', actor, time, data })),
  evolve: ({ total, notes }, { data }) => ({ total: total + data.by, notes: [...notes, data.note].slice(-NOTES_MAX) }),
};

export const tally: Aggregate<Tally, Add, Added, never> = {
  context: 'mission',
  name: 'tally',
  decider,
  events: { Added: firstVersion(z.strictObject({ by: z.number(), note: sealed(z.string()) })) },
};

/** Written by the same log, and unknown to whoever only knows `tally`. */
export const other: Aggregate<Tally, Add, Added, never> = { ...tally, name: 'other' };

export const add = (by: number, note: string): Identified<Add> => ({
  command_id: newId('cmd'),
  correlation_id: 'msn_none',
  command: { type: 'Add', actor: 'operator:ada', data: { by, note } },
});

class Tables extends Migration {
  up(): void {
    this.addSql(checkpointDdl('mission'));
    for (const table of ['tally_view', 'tally_again_view'])
      this.addSql(aggregateViewDdl(`mission.${table}`, 'tally_id', { total: 'integer not null' }));
    this.addSql('create statistics mission.tally_together (mcv) on tally_id, total from mission.tally_view');
    this.addSql('create table mission.due_view (id text primary key, next_due_at text)');
  }
}

export const tallyProjection = (name = 'mission.tally', table = 'mission.tally_view') =>
  aggregateProjection({
    name,
    context: 'mission',
    aggregate: tally,
    table,
    id_column: 'tally_id',
    columns: ({ total }) => ({ total }),
  });

const log = silentLogger();

export type Derivation = Readonly<{
  feed: LogFeed;
  database: Database;
  projections: Projections;
  close: () => Promise<void>;
}>;

export class Rig {
  readonly writer: EventLog;
  /** Told of what `writer` appends. */
  private told: LogFeed | undefined;

  private constructor(
    readonly servers: ComponentSet,
    private readonly folder: string,
    private readonly writing: Awaited<ReturnType<typeof openWriter>>,
  ) {
    this.writer = writing.writer;
    writing.onAppended = (stream, own) => this.told?.tell(stream, own);
  }

  static async start({ streams = 1 } = {}): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), 'nexusmon-derived-'));
    chmodSync(folder, 0o711); // As root, PostgreSQL runs as another user, who must get through.
    const servers = await startComponents(join(folder, 'data'), { streams });
    const { user, password } = databaseUser(servers, 'admin');
    const url = new URL(servers.database_url);
    [url.username, url.password] = [user, password];
    await migrate(url.toString(), 'mission', 'mission', [{ name: 'derived-spec', class: Tables }]);
    return new Rig(servers, folder, await openWriter(servers));
  }

  async stop(): Promise<void> {
    await this.writing.close();
    await this.servers.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** From here on this feed, and no other, is told of what `writer` appends. */
  tell(feed: LogFeed | undefined): void {
    this.told = feed;
  }

  /** Another process that writes. */
  stranger() {
    return openWriter(this.servers);
  }

  nats(user: string) {
    const { nats_user, nats_password: password } = secretsOf(this.servers, user);
    return connectNats(
      { url: this.servers.nats_url, user: nats_user ?? '', password: password ?? '', name: 'spec' },
      log,
    );
  }

  key(): Promise<string> {
    return this.writing.keyring.take();
  }

  /** Adds once, however long the log is away. */
  async add(id: string, key_id: string, by: number, note = 'note'): Promise<string> {
    const command = add(by, note);
    for (;;) {
      try {
        return (await this.writer.execute(tally, id, command, { key_id })).position;
      } catch (error) {
        if (!(error instanceof Error && error.name === 'LogUnavailable')) throw error;
        await pause(20);
      }
    }
  }

  /** What one process would open, not started yet. */
  async derivation(): Promise<Derivation> {
    const connection = await this.nats('reader');
    const feed = await LogFeed.connect({ connection, streams: this.servers.streams, log });
    const database = await openDatabase(this.servers);
    feed.openWith(keyringOf(this.servers, database));
    const projections = new Projections(feed, log);
    const close = async () => {
      await projections.close();
      await database.close();
      await connection.close();
    };
    return { feed, database, projections, close };
  }

  /** Ends a server the hard way, and returns once it has been started again. */
  async kill(component: string): Promise<void> {
    const pid = this.servers.pids()[component];
    try {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended by itself since: what follows is the same.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
    for (;;) {
      const now = this.servers.pids()[component];
      if (now !== undefined && now !== pid) return;
      await pause(10);
    }
  }
}

const secretsOf = ({ secrets_dir }: ComponentSet, user: string): Record<string, string | undefined> =>
  JSON.parse(readFileSync(join(secrets_dir, `${user}.json`), 'utf8')) as Record<string, string | undefined>;

const databaseUser = (servers: ComponentSet, name: string) => {
  const { database_user: user = '', database_password: password = '' } = secretsOf(servers, name);
  return { user, password };
};

const openDatabase = (servers: ComponentSet): Promise<Database> =>
  Database.open({
    url: servers.database_url,
    connections_max: 4,
    name: 'spec',
    log,
    ...databaseUser(servers, 'mission'),
  });

const keyringOf = (servers: ComponentSet, database: Database): Keyring =>
  new Keyring({ sql: database, wrap_key: createSecretKey(secretsOf(servers, 'mission')['wrap_key'] ?? '', 'base64') });

const openWriter = async (servers: ComponentSet) => {
  const opened: { onAppended?: EventLogOptions['onAppended'] } = {};
  const { nats_user = '', nats_password: password = '' } = secretsOf(servers, 'mission');
  const connection = await connectNats({ url: servers.nats_url, user: nats_user, password, name: 'writer' }, log);
  const database = await openDatabase(servers);
  const keyring = keyringOf(servers, database);
  const writer = new EventLog({
    connection,
    mux: new RequestMux(connection, `_INBOX_${nats_user}`),
    keyring,
    streams: servers.streams,
    monitor: { monitor_url: servers.nats_monitor_url },
    onAppended: (stream, own) => opened.onAppended?.(stream, own),
    onFatal: (error) => {
      throw error;
    },
  });
  const status = await writer.start();
  if (!status.writable) throw new Error(status.reason);
  const close = async () => {
    await database.close();
    await connection.close();
  };
  return Object.assign(opened, { writer, keyring, close });
};
