// Each context's user and role against what belongs to the others. What is allowed is written out here once more: the
// table in nats-permissions.ts must not be its own judge.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PermissionViolationError } from '@nats-io/nats-core';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { mayAsk } from '@nexusmon/shared-contract';
import { testServers } from '@nexusmon/testing';
import pg from 'pg';

const servers = await testServers({ own: true });

type Secrets = Record<'nats_user' | 'nats_password' | 'database_user' | 'database_password', string>;
const secretsOf = (user: string) =>
  JSON.parse(readFileSync(join(servers.secrets_dir, `${user}.json`), 'utf8')) as Secrets;

const LOG = 'NEXUSMON_EVENTS_0';
const CONTEXT_OF = {
  mission: 'mission',
  governance: 'governance',
  gateway: 'access',
  vault: 'vault',
  evolution: 'evolution',
  worker: 'worker',
} as const;
type User = keyof typeof CONTEXT_OF;
const USERS = Object.keys(CONTEXT_OF) as User[];
const CONTEXTS = Object.values(CONTEXT_OF);

const ADMINISTRATION = [
  `$JS.API.STREAM.CREATE.${LOG}`,
  `$JS.API.STREAM.UPDATE.${LOG}`,
  `$JS.API.STREAM.DELETE.${LOG}`,
  `$JS.API.STREAM.PURGE.${LOG}`,
  `$JS.API.STREAM.MSG.DELETE.${LOG}`,
  `$JS.API.STREAM.SNAPSHOT.${LOG}`,
  `$JS.API.STREAM.RESTORE.${LOG}`,
  '$JS.API.STREAM.CREATE.ANOTHER',
  '$JS.API.ACCOUNT.PURGE.x',
  '$SYS.REQ.SERVER.PING',
];
const FOLLOWING = [
  `$JS.API.CONSUMER.CREATE.${LOG}.c`,
  `$JS.API.CONSUMER.MSG.NEXT.${LOG}.c`,
  `$JS.API.CONSUMER.DELETE.${LOG}.c`,
];
const READING = [`$JS.API.STREAM.MSG.GET.${LOG}`, `$JS.API.STREAM.INFO.${LOG}`];
const APPENDS = CONTEXTS.map((context) => `evt.63.${context}.thing.probe`);
const COMMANDS = CONTEXTS.map((context) => `cmd.${context}.probe`);
const QUESTIONS = CONTEXTS.map((context) => `qry.${context}.probe`);
const MISSION_READ = 'qry.mission.get';
const POLLS = ['cmd.mission.poll', 'cmd.mission.report'];
const KEEPS = ['cmd.vault.begin_upload', 'cmd.vault.record', 'qry.vault.open'];
const ANSWERS = [...USERS, 'reader', 'admin'].map((user) => `_INBOX_${user}.probe`);
const EVERYTHING = [
  ...[ADMINISTRATION, FOLLOWING, READING, APPENDS, COMMANDS, QUESTIONS, POLLS, KEEPS, ANSWERS].flat(),
  MISSION_READ,
  'elsewhere.entirely',
];

const LOG_OF = (context: string) => [`evt.63.${context}.thing.probe`, ...READING];
/** Where the answers of a context go: to the inboxes of those who may ask it, and no answer goes anywhere else. */
const TO = (...askers: User[]) => askers.map((asker) => `_INBOX_${asker}.probe`);
const MAY_PUBLISH: Record<User | 'reader', string[]> = {
  mission: [
    ...LOG_OF('mission'),
    ...['cmd.governance.probe', 'qry.governance.probe', 'cmd.vault.probe', 'qry.vault.probe', 'cmd.mission.probe'],
    ...POLLS,
    ...KEEPS,
    ...TO('gateway', 'mission', 'vault', 'worker'),
  ],
  governance: [...LOG_OF('governance'), 'cmd.governance.probe', ...TO('gateway', 'governance', 'mission')],
  gateway: [...LOG_OF('access'), ...COMMANDS, ...QUESTIONS, MISSION_READ, ...POLLS, ...KEEPS, ...TO('gateway')],
  vault: [...LOG_OF('vault'), MISSION_READ, ...TO('gateway', 'mission', 'worker')],
  evolution: [...LOG_OF('evolution'), ...TO('gateway')],
  worker: [...POLLS, ...KEEPS, ...TO('gateway')],
  reader: [...FOLLOWING, ...READING],
};

const connections: NatsConnection[] = [];
const enter = async (user: string): Promise<NatsConnection> => {
  const { nats_user, nats_password } = secretsOf(user);
  const connection = await connect({
    servers: servers.nats_url,
    user: nats_user,
    pass: nats_password,
    inboxPrefix: `_INBOX_${nats_user}`,
    reconnect: false,
  });
  connections.push(connection);
  return connection;
};

/** The subjects the server refused. It says so before it answers the ping of a flush. */
const refusedPublishing = async (connection: NatsConnection, subjects: readonly string[]): Promise<string[]> => {
  const refused: string[] = [];
  const watching = (async () => {
    for await (const status of connection.status())
      if (status.type === 'error' && status.error instanceof PermissionViolationError)
        refused.push(status.error.subject);
  })();
  for (const subject of subjects) connection.publish(subject);
  await connection.flush();
  await connection.close();
  await watching;
  return refused;
};

const refusedSubscribing = async (connection: NatsConnection, subjects: readonly string[]): Promise<string[]> => {
  const refused: string[] = [];
  for (const subject of subjects)
    connection.subscribe(subject, {
      callback: (error) => {
        if (error instanceof PermissionViolationError) refused.push(subject);
      },
    });
  await connection.flush();
  return refused;
};

afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
});

describe('on NATS', () => {
  it('nobody comes in without a password', async () => {
    await expect(connect({ servers: servers.nats_url, reconnect: false })).rejects.toThrow();
    await expect(
      connect({ servers: servers.nats_url, user: 'mission', pass: 'guess', reconnect: false }),
    ).rejects.toThrow();
  });

  it.each([...USERS, 'reader'] as const)('%s publishes what is its own and nothing else', async (user) => {
    const refused = await refusedPublishing(await enter(user), EVERYTHING);
    expect(EVERYTHING.filter((subject) => !refused.includes(subject)).sort()).toEqual([...MAY_PUBLISH[user]].sort());
  });

  it.each(USERS)('%s asks within its process what it may ask over NATS, and nothing else', (user) => {
    const requests = (subjects: readonly string[]) => subjects.filter((subject) => /^(cmd|qry)\./.test(subject));
    const asked = requests(EVERYTHING).filter((subject) => mayAsk(CONTEXT_OF[user], subject));
    expect(asked.sort()).toEqual(requests(MAY_PUBLISH[user]).sort());
  });

  it.each(USERS)('%s hears its own requests and answers, and no others', async (user) => {
    const own = [`cmd.${CONTEXT_OF[user]}.>`, `qry.${CONTEXT_OF[user]}.>`, `_INBOX_${user}.>`];
    const others = [
      ...CONTEXTS.flatMap((context) => [`cmd.${context}.>`, `qry.${context}.>`, `evt.*.${context}.>`]),
      ...[...USERS, 'reader', 'admin'].map((other) => `_INBOX_${other}.>`),
      ...['>', 'evt.>', 'cmd.>', 'qry.>', '_INBOX_*.>', '$SYS.>', '$JS.>'],
    ].filter((subject) => !own.includes(subject));
    const refused = await refusedSubscribing(await enter(user), [...own, ...others]);
    expect(refused.sort()).toEqual(others.sort());
  });

  it('reader hears nothing but what it asked for', async () => {
    const subjects = ['_INBOX_reader.>', 'evt.>', 'cmd.>', '>', '_INBOX_admin.>'];
    expect(await refusedSubscribing(await enter('reader'), subjects)).toEqual(subjects.slice(1));
  });

  it('an answer reaches its asker, and nothing else that the asker could name', async () => {
    const [gateway, mission, worker] = await Promise.all([enter('gateway'), enter('mission'), enter('worker')]);
    mission.subscribe('cmd.mission.>', { callback: (_error, message) => void message.respond('done') });
    await mission.flush();
    expect((await gateway.request('cmd.mission.probe', '', { timeout: 5_000 })).string()).toBe('done');
    expect((await worker.request('cmd.mission.poll', '', { timeout: 5_000 })).string()).toBe('done');
    const before = await lastSequence();
    worker.publish('cmd.mission.poll', '', { reply: 'evt.00.governance.approval.apr_none' });
    await worker.flush();
    await mission.flush();
    expect(await lastSequence()).toBe(before);
  });
});

const lastSequence = async () => {
  const reply = await (await enter('reader')).request(`$JS.API.STREAM.INFO.${LOG}`, '', { timeout: 5_000 });
  return reply.json<{ state: { last_seq: number } }>().state.last_seq;
};

const SCHEMA_OF = {
  mission: 'mission',
  governance: 'governance',
  gateway: 'access',
  vault: 'vault',
  evolution: 'evolution',
} as const;
type Role = keyof typeof SCHEMA_OF;
const ROLES = Object.keys(SCHEMA_OF) as Role[];
const SCHEMAS = Object.values(SCHEMA_OF);
const DENIED = '42501';

const clientOf = (user: string, database?: string) => {
  const { database_user, database_password } = secretsOf(user);
  const url = new URL(servers.database_url);
  return new pg.Client({
    host: url.hostname,
    port: Number(url.port),
    database: database ?? url.pathname.slice(1),
    user: database_user,
    password: database_password,
  });
};

/** 'done', or the code of the refusal. */
const attempt = async (client: pg.Client, sql: string): Promise<string> => {
  try {
    await client.query(sql);
    return 'done';
  } catch (error) {
    return error instanceof pg.DatabaseError ? String(error.code) : String(error);
  }
};

describe('in PostgreSQL', () => {
  const clients: pg.Client[] = [];
  const open = async (user: string) => {
    const client = clientOf(user);
    await client.connect();
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    const admin = await open('admin');
    for (const schema of SCHEMAS) await admin.query(`CREATE TABLE ${schema}.probe (id int, note text)`);
    await admin.query(`INSERT INTO keys.data_key (key_id, wrapped) VALUES ('key_probe', 'x')`);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
  });

  const verbs = (schema: string) => [
    `SELECT * FROM ${schema}.probe`,
    `INSERT INTO ${schema}.probe VALUES (1, 'x')`,
    `UPDATE ${schema}.probe SET note = 'y'`,
    `DELETE FROM ${schema}.probe`,
  ];

  it.each(ROLES)('%s reads and writes rows of its own schema only', async (role) => {
    const client = await open(role);
    for (const schema of SCHEMAS)
      for (const sql of verbs(schema))
        expect([sql, await attempt(client, sql)]).toEqual([sql, schema === SCHEMA_OF[role] ? 'done' : DENIED]);
  });

  it.each(ROLES)('%s makes, changes and removes no table, role or database', async (role) => {
    const client = await open(role);
    const own = SCHEMA_OF[role];
    for (const sql of [
      ...[`CREATE TABLE ${own}.another (id int)`, `ALTER TABLE ${own}.probe ADD COLUMN more int`],
      ...[`DROP TABLE ${own}.probe`, `TRUNCATE ${own}.probe`, 'CREATE TABLE public.another (id int)'],
      ...['CREATE SCHEMA another', 'CREATE DATABASE another', 'CREATE ROLE another', 'SET ROLE admin'],
      ...[`COPY ${own}.probe TO PROGRAM 'true'`, 'SELECT rolpassword FROM pg_authid', 'CREATE TEMP TABLE t (id int)'],
    ])
      expect([sql, await attempt(client, sql)]).toEqual([sql, DENIED]);
  });

  it.each([
    { role: 'mission', writes: true },
    { role: 'gateway', writes: true },
    { role: 'governance', writes: false },
    { role: 'vault', writes: false },
    { role: 'evolution', writes: false },
  ])('$role reads wrapped keys; it adds and destroys them: $writes', async ({ role, writes }) => {
    const client = await open(role);
    const written = writes ? 'done' : DENIED;
    const outcomes = [
      await attempt(client, 'SELECT key_id, wrapped FROM keys.data_key'),
      await attempt(client, `INSERT INTO keys.data_key (key_id, wrapped) VALUES ('key_${role}', 'x')`),
      await attempt(client, `UPDATE keys.data_key SET wrapped = NULL WHERE key_id = 'key_${role}'`),
      await attempt(client, `UPDATE keys.data_key SET key_id = 'key_other'`),
      await attempt(client, 'DELETE FROM keys.data_key'),
    ];
    expect(outcomes).toEqual(['done', written, written, DENIED, DENIED]);
  });

  it.each(['worker', 'reader'])('%s has no business there', async (user) => {
    await expect(clientOf(user).connect()).rejects.toMatchObject({ code: DENIED });
  });

  it.each(ROLES)('%s comes into no other database, and into none without its password', async (role) => {
    await expect(clientOf(role, 'postgres').connect()).rejects.toMatchObject({ code: DENIED });
    const { hostname, port, pathname } = new URL(servers.database_url);
    const guess = { host: hostname, port: Number(port), database: pathname.slice(1), user: role, password: 'guess' };
    await expect(new pg.Client(guess).connect()).rejects.toMatchObject({ code: '28P01' });
  });
});

describe('in MinIO', () => {
  it('nobody lists or reads without the keys', async () => {
    for (const path of ['', servers.s3_bucket, `${servers.s3_bucket}/probe`])
      expect((await fetch(`${servers.s3_endpoint}/${path}`)).status).toBe(403);
  });
});
