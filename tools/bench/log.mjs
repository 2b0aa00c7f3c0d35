// The log alone: appends and loads, through the library that every service writes with, on servers of its own.

import { createSecretKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureProgram } from '../start/programs.mjs';

const APPENDS = 4_000;
const HISTORY = 1_000;
const LOADS = 500;

const from = (name) => import(new URL(`../../libs/platform/${name}/dist/index.js`, import.meta.url));

/** An aggregate whose state stays above 8 KiB, so that it does not ride in every commit. */
const ledger = async () => {
  const { firstVersion } = await import(new URL('../../libs/shared/contract/dist/index.js', import.meta.url));
  const { z } = await import('zod');
  const noted = firstVersion(z.strictObject({ note: z.string() }));
  const lines = (count) => Array.from({ length: count }, (_, index) => index);
  return {
    context: 'mission',
    name: 'bench',
    events: { Noted: noted },
    decider: {
      initial: { notes: [] },
      decide: ({ actor, time, data }) => ({
        kind: 'accepted',
        events: lines(data.count).map(() => ({ type: 'Noted', actor, time, data: { note: data.note } })),
      }),
      evolve: ({ notes }, { data }) => ({ notes: [...notes, data.note].slice(-100) }),
    },
  };
};

const open = async (set) => {
  const { EventLog } = await from('event-log');
  const { connectNats, inboxPrefixOf, RequestMux } = await from('messaging');
  const { Keyring } = await from('keys');
  const { Database } = await from('projections');
  const { silentLogger } = await from('telemetry');
  const secrets = JSON.parse(readFileSync(join(set.secrets_dir, 'mission.json'), 'utf8'));
  const { nats_user: user, nats_password: password, database_user, database_password, wrap_key } = secrets;
  const connection = await connectNats({ url: set.nats_url, user, password, name: 'bench' }, silentLogger());
  const database = await Database.open({
    url: set.database_url,
    user: database_user,
    password: database_password,
    connections_max: 2,
    name: 'bench',
  });
  const keyring = new Keyring({ sql: database, wrap_key: createSecretKey(wrap_key, 'base64') });
  const log = new EventLog({
    connection,
    mux: new RequestMux(connection, inboxPrefixOf(user)),
    keyring,
    monitor: { monitor_url: set.nats_monitor_url },
    onFatal: (error) => {
      throw error;
    },
  });
  const status = await log.start();
  if (!status.writable) throw new Error(status.reason);
  return { log, close: async () => Promise.all([connection.close(), database.close()]) };
};

export const benchLog = async (row, inFlight, quantile) => {
  for (const name of ['nats_server', 'minio'])
    process.env.PATH = `${dirname(await ensureProgram(name, process.env))}:${process.env.PATH}`;
  const { startComponents } = await from('stack');
  const { newId } = await from('event-log');
  const folder = mkdtempSync(join(tmpdir(), 'nexusmon-bench-log-'));
  const set = await startComponents(folder);
  const { log, close } = await open(set);
  const aggregate = await ledger();
  const append = (id, count, note) =>
    log.execute(aggregate, id, {
      command_id: newId('cmd'),
      correlation_id: id,
      command: { type: 'Note', actor: 'service:bench', data: { count, note } },
    });
  try {
    await inFlight(500, 64, () => append(newId('bch'), 3, 'warm'));
    const began = performance.now();
    await inFlight(APPENDS, 64, () => append(newId('bch'), 3, 'x'.repeat(100)));
    row(
      'append of 3 events to a new stream, 64 in flight',
      (APPENDS * 1_000) / (performance.now() - began),
      '≥ 3,611 /s',
    );

    const long = newId('bch');
    for (let commit = 0; commit < HISTORY; commit++) await append(long, 1, `${commit} ${'x'.repeat(200)}`);
    const { log: cold, close: closeCold } = await open(set);
    const took = [];
    for (let load = 0; load < LOADS; load++) {
      const start = performance.now();
      const { revision } = await cold.load(aggregate, long);
      took.push(performance.now() - start);
      if (revision !== HISTORY) throw new Error(`loaded revision ${revision}`);
    }
    row('load of an aggregate with 1,000 commits, p50', quantile(took, 0.5), '≤ 2 ms');
    row('  p99', quantile(took, 0.99), 'ms');
    await closeCold();
  } finally {
    await close();
    await set.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
