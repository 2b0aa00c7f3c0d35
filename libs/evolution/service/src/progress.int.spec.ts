// Progress over real NATS and PostgreSQL, from completions in the log. `E1`–`E3` are the numbers in
// progress.projection.ts.

import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfig, readSecrets } from '@nexusmon/config';
import { EventLog, newId, sha256Hex, type Aggregate } from '@nexusmon/event-log';
import { EVOLUTION_SUBJECTS, type ProgressDocument } from '@nexusmon/evolution-contract';
import { accept } from '@nexusmon/kernel';
import { Keyring } from '@nexusmon/keys';
import { connectNats, inboxPrefixOf, MessageClient, RequestMux } from '@nexusmon/messaging';
import { missionEvents, type MissionEvent } from '@nexusmon/mission-contract';
import { Database, digestTable, migrate } from '@nexusmon/projections';
import { ContextNats, startService, type RunningService } from '@nexusmon/runtime';
import type { Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { EvolutionServiceModule } from './evolution-service.module.js';
import { evolutionMigrations } from './migrations.js';
import { FINGERPRINT_VIEW, MISSION_VIEW, TOTAL_VIEW } from './progress/progress.projection.js';

// Servers of its own: the totals are over all missions of a log.
const servers = await testServers({ own: true });
const log = silentLogger();
const config = readConfig({
  ...{ NATS_URL: servers.nats_url, NATS_MONITOR_URL: servers.nats_monitor_url, DATABASE_URL: servers.database_url },
  ...{ NEXUSMON_STREAMS: String(servers.streams), NEXUSMON_SECRETS: servers.secrets_dir, OPS_PORT: '0' },
});

type Completed = Extract<MissionEvent, { type: 'MissionCompleted' }>;

/** Missions that write what they are told to: only their completions matter here. */
const completions: Aggregate<{ ended: boolean }, Completed, Completed, never> = {
  context: 'mission',
  name: 'mission',
  decider: { initial: { ended: false }, decide: (command) => accept(command), evolve: () => ({ ended: true }) },
  events: missionEvents,
};

const connectAs = (user: string, password: string) =>
  connectNats({ url: servers.nats_url, user, password, name: `spec ${user}` }, log);

const openDatabase = async (context: 'mission' | 'evolution') => {
  const { database_user: user, database_password: password } = readSecrets(config, context);
  return Database.open({ ...config.database, user, password, name: `spec ${context}` });
};

const missionLog = async () => {
  const { nats_user, nats_password, wrap_key } = readSecrets(config, 'mission');
  const connection = await connectAs(nats_user, nats_password);
  const database = await openDatabase('mission');
  const event_log = new EventLog({
    ...{ connection, mux: new RequestMux(connection, inboxPrefixOf(nats_user)), streams: servers.streams },
    ...{ keyring: new Keyring({ sql: database, wrap_key: createSecretKey(wrap_key, 'base64') }) },
    monitor: { monitor_url: servers.nats_monitor_url },
    onFatal: (error) => {
      throw error;
    },
  });
  await event_log.start();
  const close = async () => {
    await connection.close();
    await database.close();
  };
  return { event_log, close };
};

const migrateAsAdmin = async () => {
  const { database_user = '', database_password = '' } = JSON.parse(
    readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8'),
  ) as Record<string, string>;
  const url = new URL(servers.database_url);
  [url.username, url.password] = [database_user, database_password];
  await migrate(url.toString(), 'evolution', 'evolution', evolutionMigrations);
};

let missions: Awaited<ReturnType<typeof missionLog>>;
let evolution: RunningService;
let client: MessageClient;
let hangUp: () => Promise<void>;
const startEvolution = async () => {
  const started = await startService('evolution-spec', config, [EvolutionServiceModule], { log });
  // Only after a round trip does the server know of all subscriptions made before it.
  await started.app.get(ContextNats, { strict: false }).connection.flush();
  return started;
};

beforeAll(async () => {
  await migrateAsAdmin();
  [missions, evolution] = await Promise.all([missionLog(), startEvolution()]);
  const { nats_user, nats_password } = readSecrets(config, 'access');
  const connection = await connectAs(nats_user, nats_password);
  client = new MessageClient(new RequestMux(connection, inboxPrefixOf(nats_user)));
  hangUp = () => connection.close();
});
afterAll(async () => {
  await hangUp();
  await missions.close();
  await evolution.stop();
});

const complete = async (change: Partial<Completed['data']> = {}, fulfilled = true): Promise<string> => {
  const mission_id = newId('msn');
  const kind = fulfilled ? ('outputs' as const) : ('brief' as const);
  const outcome = await missions.event_log.execute(completions, mission_id, {
    ...{ command_id: newId('cmd'), correlation_id: mission_id },
    command: {
      ...{ type: 'MissionCompleted', actor: 'service:mission' },
      data: {
        ...{
          result: { kind, fulfilled, artifacts: [] },
          verified: true,
          fingerprint: sha256Hex(mission_id),
          category: 'library',
          effective_rank: 'E',
        },
        ...change,
      },
    },
  });
  return outcome.position;
};

const progressAt = async (min_position?: string): Promise<ProgressDocument> => {
  const reply: Reply<ProgressDocument> = await client.request(
    EVOLUTION_SUBJECTS.progress,
    min_position === undefined ? {} : { min_position },
  );
  if (reply.kind !== 'done') throw new Error(JSON.stringify(reply));
  return reply.body;
};

describe('progress', () => {
  it('begins with nothing', () =>
    expect(progressAt()).resolves.toMatchObject({ stage: 'DORMANT', count: 0, xp: 0, verified_missions: 0 }));

  it('takes no notice of a brief, or of what was not verified (E3)', async () => {
    const fingerprint = sha256Hex('tried before');
    await complete({ fingerprint }, false);
    const position = await complete({ fingerprint, verified: false });
    await expect(progressAt(position)).resolves.toMatchObject({ count: 0, xp: 0, verified_missions: 0 });
    const first = await progressAt(await complete({ fingerprint }));
    expect(first).toMatchObject({ stage: 'AWAKENING', count: 1, xp: 1, verified_missions: 1 });
  });

  it('halves the novelty of each repetition (E2)', async () => {
    const fingerprint = sha256Hex('again and again');
    const counts = [];
    for (let time = 1; time <= 4; time += 1) counts.push((await progressAt(await complete({ fingerprint }))).count);
    expect(counts).toEqual([2, 2.5, 2.75, 2.875]);
  });

  it('weighs XP by rank and category', async () => {
    const before = await progressAt();
    const after = await progressAt(await complete({ category: 'coin', effective_rank: 'B' }));
    expect(after.xp - before.xp).toBe(12);
    expect(after.count - before.count).toBe(1);
  });

  it('opens capabilities with the stage', async () => {
    let position = '';
    for (let index = 0; index < 7; index += 1) position = await complete();
    const { stage, next_stage, next_stage_at, capabilities } = await progressAt(position);
    expect({ stage, next_stage, next_stage_at }).toEqual({
      ...{ stage: 'FORGING', next_stage: 'SOVEREIGN', next_stage_at: 50 },
    });
    expect(capabilities.filter(({ open }) => open).map(({ capability }) => capability)).toEqual([
      ...['RECALL', 'COMPANION', 'WORKER_SPAWN', 'BELIEF_TRACK'],
    ]);
  });

  it('refuses a position that is none', () =>
    expect(client.request(EVOLUTION_SUBJECTS.progress, { min_position: 'soon' })).resolves.toMatchObject({
      kind: 'refused',
      refusal: { code: 'malformed-position' },
    }));

  it('is the same when it is made anew, and when completions are read twice (E1)', async () => {
    const position = await complete();
    const known = await progressAt(position);
    await evolution.stop();
    const database = await openDatabase('evolution');
    const digests = () =>
      Promise.all([
        digestTable(database, MISSION_VIEW, ['mission_id']),
        digestTable(database, FINGERPRINT_VIEW, ['fingerprint']),
        digestTable(database, TOTAL_VIEW, ['name']),
      ]);
    const before = await digests();

    await database.query('delete from evolution.checkpoint');
    evolution = await startEvolution();
    await expect(progressAt(position)).resolves.toEqual(known);
    await evolution.stop();
    await expect(digests()).resolves.toEqual(before);

    for (const table of [MISSION_VIEW, FINGERPRINT_VIEW, TOTAL_VIEW]) await database.query(`delete from ${table}`);
    await database.query('delete from evolution.checkpoint');
    evolution = await startEvolution();
    await expect(progressAt(position)).resolves.toEqual(known);
    await expect(digests()).resolves.toEqual(before);
    await database.close();
  });
});
