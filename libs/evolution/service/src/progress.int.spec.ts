// Progress and the stage over real NATS and PostgreSQL, from completions and reviews in the log. `E1`–`E4` are the
// numbers in progress.projection.ts, `C1` those in stage-changes.ts.

import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfig, readSecrets } from '@nexusmon/config';
import {
  Catalogues,
  decodeCommit,
  EventLog,
  EventStream,
  newId,
  sha256Hex,
  streamName,
  subjectOf,
  type Aggregate,
} from '@nexusmon/event-log';
import {
  EVOLUTION_SUBJECTS,
  type AccountDocument,
  type CapabilityDocument,
  type ProgressDocument,
  type StageChangeDocument,
} from '@nexusmon/evolution-contract';
import { reviewEvents, type ReviewEvent } from '@nexusmon/governance-contract';
import { accept } from '@nexusmon/kernel';
import { Keyring } from '@nexusmon/keys';
import { connectNats, inboxPrefixOf, MessageClient, RequestMux } from '@nexusmon/messaging';
import { missionEvents, type MissionEvent } from '@nexusmon/mission-contract';
import { Database, digestTable, migrate } from '@nexusmon/projections';
import { ContextNats, startService, type RunningService } from '@nexusmon/runtime';
import type { Page, Reply } from '@nexusmon/shared-contract';
import { silentLogger } from '@nexusmon/telemetry';
import { testServers } from '@nexusmon/testing';
import { EvolutionServiceModule } from './evolution-service.module.js';
import { evolutionMigrations } from './migrations/index.js';
import { progressProjection } from './progress/progress.projection.js';
import { STAGE_ID, stageAggregate } from './stage/stage.aggregate.js';
import { stageChangeProjection } from './stage/stage.projection.js';

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

/** Reviews, likewise. */
const reviews: Aggregate<{ given: boolean }, ReviewEvent, ReviewEvent, never> = {
  context: 'governance',
  name: 'review',
  decider: { initial: { given: false }, decide: (command) => accept(command), evolve: () => ({ given: true }) },
  events: reviewEvents,
};

const connectAs = (user: string, password: string) =>
  connectNats({ url: servers.nats_url, user, password, name: `spec ${user}` }, log);

type Writer = 'mission' | 'governance';
const openDatabase = async (context: Writer | 'evolution') => {
  const { database_user: user, database_password: password } = readSecrets(config, context);
  return Database.open({ ...config.database, user, password, name: `spec ${context}` });
};

const writerOf = async (context: Writer) => {
  const { nats_user, nats_password, wrap_key } = readSecrets(config, context);
  const connection = await connectAs(nats_user, nats_password);
  const database = await openDatabase(context);
  const mux = new RequestMux(connection, inboxPrefixOf(nats_user));
  const keyring = new Keyring({ sql: database, wrap_key: createSecretKey(wrap_key, 'base64') });
  const event_log = new EventLog({
    ...{ connection, mux, streams: servers.streams, keyring },
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
  return { event_log, keyring, mux, close };
};

const migrateAsAdmin = async () => {
  const { database_user = '', database_password = '' } = JSON.parse(
    readFileSync(join(servers.secrets_dir, 'admin.json'), 'utf8'),
  ) as Record<string, string>;
  const url = new URL(servers.database_url);
  [url.username, url.password] = [database_user, database_password];
  await migrate(url.toString(), 'evolution', 'evolution', evolutionMigrations);
};

let missions: Awaited<ReturnType<typeof writerOf>>;
let governance: Awaited<ReturnType<typeof writerOf>>;
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
  [missions, governance, evolution] = await Promise.all([
    writerOf('mission'),
    writerOf('governance'),
    startEvolution(),
  ]);
  const { nats_user, nats_password } = readSecrets(config, 'access');
  const connection = await connectAs(nats_user, nats_password);
  client = new MessageClient(new RequestMux(connection, inboxPrefixOf(nats_user)));
  hangUp = () => connection.close();
});
afterAll(async () => {
  await hangUp();
  await missions.close();
  await governance.close();
  await evolution.stop();
});

type Written = Readonly<{ mission_id: string; position: string }>;

const end = async (
  change: Partial<Completed['data']> = {},
  kind: 'outputs' | 'brief' = 'outputs',
  mission_id = newId('msn'),
): Promise<Written> => {
  const { position } = await missions.event_log.execute(completions, mission_id, {
    ...{ command_id: newId('cmd'), correlation_id: mission_id },
    command: {
      ...{ type: 'MissionCompleted', actor: 'service:mission' },
      data: {
        ...{
          result: { kind, fulfilled: kind === 'outputs', artifacts: [] },
          verified: true,
          fingerprint: sha256Hex(mission_id),
          category: 'library',
          effective_rank: 'E',
        },
        ...change,
      },
    },
  });
  return { mission_id, position };
};
const complete = async (...given: Parameters<typeof end>): Promise<string> => (await end(...given)).position;

const review = async (mission_id: string, verdict: 'fine' | 'not_fine'): Promise<string> => {
  const review_id = `rev_${mission_id.slice('msn_'.length)}`;
  const { position } = await governance.event_log.execute(
    reviews,
    review_id,
    {
      ...{ command_id: newId('cmd'), correlation_id: mission_id },
      command: {
        ...{ type: 'ReviewGiven', actor: 'operator:owner' },
        data: {
          ...{ review_id, mission_id, rank: 'C', decisive_rule: 'rank', flagged_at: '2026-01-01T12:00:00.000Z' },
          ...{ verdict, reviewed_by: 'operator:owner', reason: 'looked at' },
        },
      },
    },
    { key_id: await missions.keyring.take() },
  );
  return position;
};

const ask = async <Body>(subject: string, request: object): Promise<Body> => {
  const reply: Reply<Body> = await client.request(subject, request);
  if (reply.kind !== 'done') throw new Error(JSON.stringify(reply));
  return reply.body;
};
const at = (min_position: string | undefined) => (min_position === undefined ? {} : { min_position });
const progressAt = (min_position?: string) => ask<ProgressDocument>(EVOLUTION_SUBJECTS.progress, at(min_position));
const accountsAt = async (min_position: string, over: object = {}) =>
  (await ask<Page<AccountDocument>>(EVOLUTION_SUBJECTS.accounts, { ...at(min_position), limit: 200, ...over })).data;

/** What the log itself holds of the stage: a view by number would hide what is there twice. */
const stageChangesInLog = async () => {
  const [number] = [0];
  const stream = new EventStream(missions.mux, number, streamName(number));
  const identity = missions.event_log.identities()[number];
  if (!identity) throw new Error('there is no stream');
  const found = [];
  for (let sequence = 1; ;) {
    const message = await stream.next(subjectOf('evolution', 'stage', STAGE_ID), sequence);
    if (!message) return found;
    const commit = decodeCommit(message, new Catalogues([stageAggregate]), missions.keyring, identity);
    for (const { data } of commit.stored) {
      const { from, to, count } = data as unknown as StageChangeDocument;
      found.push([from, to, count]);
    }
    sequence = commit.sequence + 1;
  }
};
/** Resolves once the stage that the log has come to is this one. */
const untilStage = async (stage: string) => {
  for (const deadline = Date.now() + 20_000; ;) {
    const changes = await stageChangesInLog();
    if (changes.at(-1)?.[1] === stage) return changes;
    if (Date.now() > deadline) throw new Error(`not ${stage}: ${JSON.stringify(changes)}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
};

describe('progress', () => {
  it('begins with nothing', () =>
    expect(progressAt()).resolves.toMatchObject({ stage: 'DORMANT', count: 0, xp: 0, verified_missions: 0 }));

  it('takes no notice of a brief, or of what was not verified, and says why (E3)', async () => {
    const fingerprint = sha256Hex('tried before');
    await complete({ fingerprint }, 'brief');
    const position = await complete({ fingerprint, verified: false });
    await expect(progressAt(position)).resolves.toMatchObject({ count: 0, xp: 0, verified_missions: 0 });
    const first = await progressAt(await complete({ fingerprint }));
    expect(first).toMatchObject({ stage: 'AWAKENING', count: 1, xp: 1, verified_missions: 1 });
    const reasons = async (over: object) => (await accountsAt(position, over)).map(({ reason }) => reason);
    await expect(reasons({})).resolves.toEqual(['first_of_its_kind', 'unverified', 'brief']);
    await expect(reasons({ counts: true })).resolves.toEqual(['first_of_its_kind']);
    await expect(reasons({ counts: false })).resolves.toEqual(['unverified', 'brief']);
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

  it('reaches a stage by exactly what was counted, however many are completed at once', async () => {
    await expect(progressAt()).resolves.toMatchObject({ count: 3.875, stage: 'AWAKENING' });
    const written = await Promise.all(Array.from({ length: 12 }, () => end()));
    for (const { position } of written) await progressAt(position);
    const { stage, next_stage, next_stage_at, count, capabilities } = await progressAt();
    expect({ stage, next_stage, next_stage_at, count }).toEqual({
      ...{ stage: 'FORGING', next_stage: 'SOVEREIGN', next_stage_at: 50, count: 15.875 },
    });
    expect(capabilities.filter(({ open }) => open).map(({ capability }) => capability)).toEqual([
      ...['RECALL', 'COMPANION', 'WORKER_SPAWN', 'BELIEF_TRACK'],
    ]);
    await expect(untilStage('FORGING')).resolves.toEqual([
      ['DORMANT', 'AWAKENING', 1],
      ['AWAKENING', 'FORGING', 10.875],
    ]);
  });

  it('takes back what a mission gave that was not fine, and as much XP again', async () => {
    const before = await progressAt();
    const { mission_id, position } = await end({ category: 'coin', effective_rank: 'C' });
    await expect(progressAt(position)).resolves.toMatchObject({ count: before.count + 1, xp: before.xp + 6 });
    const after = await progressAt(await review(mission_id, 'not_fine'));
    expect([after.count, after.xp, after.verified_missions]).toEqual([
      ...[before.count, before.xp - 6, before.verified_missions],
    ]);
    const [account] = await accountsAt(position);
    expect(account).toMatchObject({ mission_id, reason: 'taken_back', counts: false, count: 0, xp: -6, novelty: 1 });
  });

  it('leaves what was fine, and holds a review against a mission that ends later', async () => {
    const before = await progressAt();
    const { mission_id } = await end();
    const fine = await progressAt(await review(mission_id, 'fine'));
    expect([fine.count, fine.xp]).toEqual([before.count + 1, before.xp + 1]);
    const running = newId('msn');
    await expect(progressAt(await review(running, 'not_fine'))).resolves.toEqual(fine);
    const { position } = await end({}, 'outputs', running);
    await expect(progressAt(position)).resolves.toMatchObject({ count: fine.count, xp: fine.xp - 1 });
  });

  it('falls back when enough is taken, and rises again (C1)', async () => {
    const { count } = await progressAt();
    const counting = await accountsAt(await complete(), { counts: true });
    const whole = counting.filter(({ novelty }) => novelty === 1).slice(0, Math.ceil(count + 1 - 9.5));
    let position = '';
    for (const { mission_id } of whole) position = await review(mission_id, 'not_fine');
    const fallen = await progressAt(position);
    expect(fallen.stage).toBe('AWAKENING');
    expect((await untilStage('AWAKENING')).slice(2)).toEqual([['FORGING', 'AWAKENING', 9.875]]);
    for (; (await progressAt(position)).stage !== 'FORGING';) position = await complete();
    const changes = await untilStage('FORGING');
    expect(changes).toHaveLength(4);
    const listed = () => ask<Page<StageChangeDocument>>(EVOLUTION_SUBJECTS.stage_changes, {});
    // The list follows the log.
    let { data } = await listed();
    while (data.length < changes.length) ({ data } = await listed());
    expect(data.map(({ from, to, count }) => [from, to, count]).toReversed()).toEqual(changes);
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
    const tables = [...progressProjection.tables, ...stageChangeProjection.tables];
    const digests = () => Promise.all(tables.map(({ name, key }) => digestTable(database, name, key)));
    const changes = await stageChangesInLog();
    const before = await digests();

    await database.query('delete from evolution.checkpoint');
    evolution = await startEvolution();
    await expect(progressAt(position)).resolves.toEqual(known);
    await evolution.stop();
    await expect(digests()).resolves.toEqual(before);

    for (const { name } of tables) await database.query(`delete from ${name}`);
    await database.query('delete from evolution.checkpoint');
    evolution = await startEvolution();
    await expect(progressAt(position)).resolves.toEqual(known);
    // The reactor has read everything again by the time that a new change is on record.
    const wanted = known.stage === 'FORGING' ? 40 : 0;
    const written = await Promise.all(Array.from({ length: wanted }, () => end()));
    for (const { position: reached } of written) await progressAt(reached);
    expect((await untilStage('SOVEREIGN')).slice(0, -1)).toEqual(changes);
    await database.close();
  });
});

describe('a capability', () => {
  const rule = async (verb: 'grant' | 'revoke', over: object = {}): Promise<Reply<CapabilityDocument>> =>
    client.request(EVOLUTION_SUBJECTS[verb], {
      ...{ capability: 'RECALL', reason: 'because', sovereign: true, key_id: await missions.keyring.take() },
      asked: { actor: 'operator:owner', command_id: newId('cmd') },
      ...over,
    });
  const recallAt = async (position: string) =>
    (await progressAt(position)).capabilities.find(({ capability }) => capability === 'RECALL');

  it('is revoked and granted by the operator, with a reason that is shown', async () => {
    const revoked = await rule('revoke', { reason: 'it quoted a stale report' });
    if (revoked.kind !== 'done') throw new Error(JSON.stringify(revoked));
    expect(revoked.body).toMatchObject({ open: false, level: 0, ruling: { ruling: 'revoked', by: 'operator:owner' } });
    await expect(recallAt(revoked.position)).resolves.toEqual(revoked.body);
    const granted = await rule('grant');
    if (granted.kind !== 'done') throw new Error(JSON.stringify(granted));
    await expect(recallAt(granted.position)).resolves.toMatchObject({
      open: true,
      why: 'granted by operator:owner: because',
    });
  });
  it.each([
    [{ sovereign: false }, 'operator-key-required'],
    [{ asked: { actor: 'token:tok_1', command_id: newId('cmd') } }, 'operator-required'],
  ])('is not ruled on by %j', async (over, code) => {
    await expect(rule('grant', over)).resolves.toMatchObject({ kind: 'refused', refusal: { code } });
  });
});
