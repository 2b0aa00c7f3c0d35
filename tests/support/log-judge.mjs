// What a process of the product does with the log when it starts, and nothing else of it: the start checks, the first
// reading, and one write. As it is built, so that a broken build can be loaded in its place. Asked over its channel.
//
//   start    comes up on a log, and writes once: what became of it
//   write    writes once more, after what has happened meanwhile: what became of it
//   end      closes what `start` has opened

import { createSecretKey, randomBytes } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { z } from 'zod';
import { EventLog, newId } from '../../libs/platform/event-log/dist/index.js';
import { Keyring } from '../../libs/platform/keys/dist/index.js';
import { RequestMux } from '../../libs/platform/messaging/dist/index.js';
import { LogScrub } from '../../libs/platform/runtime/dist/log-scrub.js';

const STREAM = { number: 0, name: 'NEXUSMON_EVENTS_0' };

const probe = {
  ...{ context: 'mission', name: 'probe' },
  decider: {
    initial: {},
    decide: ({ actor, time }) => ({ kind: 'accepted', events: [{ type: 'Probed', actor, time, data: {} }] }),
    evolve: (state) => state,
  },
  events: { Probed: { versions: [z.strictObject({})], upcasts: [] } },
};

const log = { warn: () => undefined, error: () => undefined, info: () => undefined, debug: () => undefined };
/** Nothing that is written here is sealed. */
const keyring = new Keyring({ sql: { query: async () => ({ rows: [] }) }, wrap_key: createSecretKey(randomBytes(32)) });

let opened;

const open = async ({ port, monitor_port, checkpoints }) => {
  const connection = await connect({
    ...{ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 20, reconnectJitter: 5 },
  });
  const mux = new RequestMux(connection, '_INBOX_mission');
  const monitor = { monitor_url: `http://127.0.0.1:${monitor_port}` };
  const events = new EventLog({ connection, mux, keyring, monitor, onFatal: () => undefined });
  const onDamage = (reason) => events.refuseWrites(reason);
  const scrub = new LogScrub({ connection, mux, streams: [STREAM], log, onDamage });
  opened = { connection, events, scrub };
  const first = scrub.start();
  let begun = false;
  await events.start(checkpoints, () => {
    if (begun) return scrub.again();
    begun = true;
    return first;
  });
};

const write = async () => {
  const id = newId('msn');
  const command = { type: 'Probe', actor: 'operator:ada', data: {} };
  try {
    const { position } = await opened.events.execute(probe, id, {
      ...{ command_id: newId('cmd'), correlation_id: id, command },
    });
    return { written: Number(position.split('.')[2]) };
  } catch (error) {
    return { refused: error.name, reason: error.message };
  }
};

const WORK = {
  start: async (job) => {
    await open(job);
    return write();
  },
  write,
  end: async () => {
    opened?.scrub.close();
    await opened?.connection.close();
    opened = undefined;
    return {};
  },
};

process.on('message', async ({ work, ...job }) => {
  try {
    process.send(await WORK[work](job));
  } catch (error) {
    process.send({ refused: error.name, reason: error.message });
  }
});
process.on('disconnect', () => process.exit(0));
