import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Injectable, Module } from '@nestjs/common';
import { readConfig, readSecrets } from '@nexusmon/config';
import { EventLog, newId, type Aggregate, type Identified } from '@nexusmon/event-log';
import { accept, nothing, type Decider } from '@nexusmon/kernel';
import { Keyring } from '@nexusmon/keys';
import {
  connectNats,
  Handle,
  inboxPrefixOf,
  MessageClient,
  registeredSubjects,
  RequestMux,
  Unavailable,
} from '@nexusmon/messaging';
import {
  aggregateProjection,
  aggregateViewDdl,
  checkpointDdl,
  Database,
  digestTable,
  migrate,
  Migration,
  Projections,
} from '@nexusmon/projections';
import { firstVersion, sealed, type Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { z } from 'zod';
import { Derived, PlatformModule, startService, type HealthReport, type RunningService } from './index.js';

const servers = await testServers();

type Count = Readonly<{ total: number; note: string }>;
type Add = Readonly<{ type: 'Add'; actor: string; time: string; data: { by: number; note: string } }>;
type Added = Readonly<{ type: 'Added'; actor: string; time: string; data: { by: number; note: string } }>;
const decider: Decider<Count, Add, Added, never> = {
  initial: { total: 0, note: '' },
  decide: ({ actor, time, data }) => (data.by === 0 ? nothing : accept({ type: 'Added', actor, time, data })),
  evolve: ({ total }, { data }) => ({ total: total + data.by, note: data.note }),
};
const counter: Aggregate<Count, Add, Added, never> = {
  context: 'mission',
  name: 'runtimecounter',
  decider,
  events: { Added: firstVersion(z.strictObject({ by: z.number(), note: sealed(z.string()) })) },
};

const TABLE = 'mission.runtime_counter_view';
class Views extends Migration {
  up(): void {
    this.addSql(checkpointDdl('mission'));
    this.addSql(aggregateViewDdl(TABLE, 'counter_id', { total: 'integer not null' }));
  }
}

const add = (by: number, note: string): Identified<Add> => ({
  command_id: newId('cmd'),
  correlation_id: 'msn_none',
  command: { type: 'Add', actor: 'operator:ada', data: { by, note } },
});

const reacted: string[] = [];

const gate = () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: began, resolve: begun } = Promise.withResolvers<void>();
  return { released, release, began, begun };
};
const slow = gate();

@Injectable()
class Counting {
  constructor(
    derived: Derived,
    readonly database: Database,
  ) {
    derived.addProjection(
      aggregateProjection({
        name: 'mission.runtime_counter',
        context: 'mission',
        aggregate: counter,
        table: TABLE,
        id_column: 'counter_id',
        columns: ({ total }) => ({ total }),
      }),
    );
    derived.addReactor({
      name: 'mission.runtime_listener',
      context: 'mission',
      reads: [counter],
      after: ['mission.runtime_counter'],
      react: async (event, { id }) => {
        reacted.push(`${id} ${String(event.data['note'])}`);
      },
    });
  }
}

const addRequest = z.strictObject({ id: z.string(), by: z.number(), note: z.string() });

@Controller()
class CountingHandlers {
  constructor(
    private readonly log: EventLog,
    private readonly keyring: Keyring,
  ) {}

  @Handle('cmd.mission.runtime_add', addRequest)
  async add({ id, by, note }: z.infer<typeof addRequest>): Promise<Reply<{ total: number }>> {
    const outcome = await this.log.execute(counter, id, add(by, note), {
      key_id: keys.get(id) ?? (await this.keyed(id)),
    });
    const { kind, state, position } = outcome;
    return { kind: 'done', changed: kind === 'accepted', position, body: { total: state.total } };
  }

  @Handle('qry.mission.runtime_fail', z.strictObject({ how: z.enum(['fault', 'away']) }))
  async fail({ how }: { how: 'fault' | 'away' }): Promise<Reply<never>> {
    throw how === 'away' ? new Unavailable('vault', 'not there') : new Error('secret detail');
  }

  @Handle('qry.mission.runtime_slow', z.strictObject({}))
  async slow(): Promise<Reply<{ waited: boolean }>> {
    slow.begun();
    await slow.released;
    return { kind: 'done', changed: false, position: '', body: { waited: true } };
  }

  private async keyed(id: string): Promise<string> {
    const key_id = await this.keyring.forOwner(`runtime-spec ${id}`);
    keys.set(id, key_id);
    return key_id;
  }
}

const keys = new Map<string, string>();

@Module({
  imports: [PlatformModule.forContext('mission')],
  controllers: [CountingHandlers],
  providers: [Counting],
})
class CountingModule {}

@Injectable()
class Asker {
  constructor(readonly client: MessageClient) {}
}

@Module({ imports: [PlatformModule.forContext('access')], providers: [Asker] })
class AskingModule {}

const config = readConfig({
  NATS_URL: servers.nats_url,
  NATS_MONITOR_URL: servers.nats_monitor_url,
  DATABASE_URL: servers.database_url,
  NEXUSMON_SECRETS: servers.secrets_dir,
  NEXUSMON_STREAMS: String(servers.streams),
});

const adminUrl = (): string => {
  const admin = JSON.parse(readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8')) as Record<string, string>;
  const url = new URL(servers.database_url);
  url.username = admin['database_user'] ?? '';
  url.password = admin['database_password'] ?? '';
  return url.toString();
};

let service: RunningService;
beforeAll(async () => {
  await migrate(adminUrl(), 'mission', 'mission', [{ name: 'runtime-spec-0001', class: Views }]);
  service = await startService('spec', config, [CountingModule, AskingModule], { log: silentLogger() });
});
afterAll(async () => {
  await service.stop();
});

const ops = (path: string) => fetch(`http://127.0.0.1:${service.ops_port}${path}`);

describe('a process', () => {
  it('is ready once it has caught up', async () => {
    const projections = service.app.get(Projections, { strict: false });
    while (!projections.caughtUp()) await new Promise((wake) => setTimeout(wake, 5));
    const response = await ops('/ready');
    const health = (await (await ops('/health')).json()) as {
      checks: Record<string, { ok: boolean; reason?: string }>;
    };
    expect(Object.entries(health.checks).filter(([, { ok }]) => !ok)).toEqual([]);
    expect([response.status, await response.json()]).toEqual([200, { ready: true }]);
  });

  it('tells another context how it is', async () => {
    const { client } = service.app.get(Asker, { strict: false });
    const reply = await client.request<HealthReport>('qry.mission.health', {});
    expect(reply).toMatchObject({ kind: 'done', body: { status: 'ok', checks: { 'log.mission': { ok: true } } } });
    expect(reply).toMatchObject({
      body: { details: { projections: { 'mission.runtime_counter': { lag: expect.any(Number) } } } },
    });
  });

  it('shows its figures', async () => {
    const text = await (await ops('/metrics')).text();
    expect(text).toMatch(/nexusmon_event_loop_utilization \d/);
    expect(text).toMatch(/nexusmon_projection_lag\{projection="mission.runtime_counter"\} \d/);
  });

  it('answers a request of another context, and the view follows', async () => {
    const { client } = service.app.get(Asker, { strict: false });
    const projections = service.app.get(Projections, { strict: false });
    const id = newId('cnt');
    const first = await client.request<{ total: number }>('cmd.mission.runtime_add', { id, by: 2, note: 'one' });
    const second = await client.request<{ total: number }>('cmd.mission.runtime_add', { id, by: 3, note: 'two' });
    expect([first, second]).toMatchObject([{ body: { total: 2 } }, { changed: true, body: { total: 5 } }]);
    if (second.kind !== 'done') throw new Error('refused');
    expect(await projections.unreached('mission.runtime_counter', second.position)).toBeUndefined();
    const { database } = service.app.get(Counting, { strict: false });
    const { rows } = await database.query(`select * from ${TABLE} where counter_id = $1`, [id]);
    expect(rows).toMatchObject([{ total: 5, state: { total: 5, note: 'two' }, position_text: second.position }]);
    expect(reacted.filter((line) => line.startsWith(id))).toEqual([`${id} one`, `${id} two`]);
    expect(await digestTable(database, TABLE, ['counter_id'])).toMatch(/^[0-9a-f]{64}$/);
  });

  it('says what is wrong with a position', async () => {
    const projections = service.app.get(Projections, { strict: false });
    expect(await projections.unreached('mission.runtime_counter', 'nonsense')).toMatchObject({
      code: 'malformed-position',
    });
  });

  it.each([
    ['not-json{', { code: 'malformed' }],
    ['{"id":1}', { code: 'invalid', errors: [{ path: '/id' }, { path: '/by' }, { path: '/note' }] }],
    [JSON.stringify({ id: 'a', by: 1, note: '\u0000' }), { code: 'invalid', errors: [{ path: '/note' }] }],
    [`${'['.repeat(20_000)}${']'.repeat(20_000)}`, { code: 'invalid' }],
    ['{"__proto__":{"x":1},"id":"a","by":1,"note":""}', { code: 'invalid' }],
  ])('refuses %.20s and goes on', async (payload, expected) => {
    const { client } = service.app.get(Asker, { strict: false });
    const raw = await client.raw('cmd.mission.runtime_add', payload);
    expect(raw).toMatchObject({ kind: 'refused', refusal: expected });
  });

  it('keeps the particulars of a fault to itself', async () => {
    const { client } = service.app.get(Asker, { strict: false });
    const fault = await client.request('qry.mission.runtime_fail', { how: 'fault' });
    expect(fault).toMatchObject({ kind: 'unavailable', unavailable: { dependency: 'internal' } });
    expect(JSON.stringify(fault)).not.toContain('secret');
    const away = await client.request('qry.mission.runtime_fail', { how: 'away' });
    expect(away).toMatchObject({ kind: 'unavailable', unavailable: { dependency: 'vault' } });
  });

  it('is told when nobody answers', async () => {
    const { client } = service.app.get(Asker, { strict: false });
    await expect(client.request('qry.vault.nothing', {})).rejects.toMatchObject({ dependency: 'vault' });
  });

  it('lists every request it answers', () => {
    expect(registeredSubjects().map(({ subject }) => subject)).toContain('cmd.mission.runtime_add');
  });
});

describe('a process that is told to stop', () => {
  it('answers what it has taken, takes no more, and says that it is not ready (S2)', async () => {
    const { nats_user: user, nats_password: password } = readSecrets(config, 'access');
    const connection = await connectNats({ url: config.nats.url, user, password, name: 'spec' }, silentLogger());
    const client = new MessageClient(new RequestMux(connection, inboxPrefixOf(user)));
    const taken = client.request<{ waited: boolean }>('qry.mission.runtime_slow', {});
    await slow.began;
    const stopping = service.stop();
    for (let answering = true; answering;) answering = await answers(client);
    expect((await ops('/ready')).status).toBe(503);
    slow.release();
    expect(await taken).toMatchObject({ body: { waited: true } });
    expect(await stopping).toBe(true);
    await expect(ops('/ready')).rejects.toThrow();
    await connection.close();
  });
});

const answers = async (client: MessageClient): Promise<boolean> => {
  try {
    await client.request('qry.mission.runtime_fail', { how: 'fault' });
    return true;
  } catch (error) {
    if (error instanceof Unavailable) return false;
    throw error;
  }
};
