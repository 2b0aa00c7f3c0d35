// nats-server with JetStream: one folder, one loopback port, one user per context.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ask, OK, saysOk } from './ask.js';
import { startChild, untilReady } from './child.js';
import { PROBE_TIMEOUT_MS, READY_TIMEOUT_MS, type Component, type ComponentPlace } from './component.js';
import { replaceFile } from './files.js';
import { permissionsOf, type ContextName } from './nats-permissions.js';

/** More than any disk: by itself the server would take three quarters of what is free when it starts, and no more. */
const STORE_BYTES_MAX = 2 ** 50;
/** Room for the largest request or answer there is: a page of large missions. */
export const PAYLOAD_BYTES_MAX = 8 * 1024 * 1024;

export type NatsUser = Readonly<{ context: ContextName; user: string; password: string }>;

export type NatsOptions = ComponentPlace &
  Readonly<{ binary: string; port: number; monitor_port: number; users: readonly NatsUser[] }>;

const userBlock = ({ context, user, password }: NatsUser) => {
  const { publish, subscribe } = permissionsOf(context);
  return {
    user,
    password,
    permissions: {
      publish: { allow: publish },
      subscribe: { allow: subscribe },
    },
  };
};

type Addresses = Readonly<{ listen?: string; http?: string; store_dir?: string }>;

/** `sync_interval: always`: an acknowledgement is given after the fsync, or a power cut loses what was acknowledged. */
const configOf = (users: readonly NatsUser[], { store_dir, ...addresses }: Addresses): string =>
  JSON.stringify(
    {
      server_name: 'nexusmon',
      ...addresses,
      max_payload: PAYLOAD_BYTES_MAX,
      jetstream: {
        ...(store_dir === undefined ? {} : { store_dir }),
        sync_interval: 'always',
        max_file_store: STORE_BYTES_MAX,
      },
      authorization: { timeout: 2, users: users.map(userBlock) },
    },
    undefined,
    2,
  );

/** The monitor is named with its address: with a bare port the server would open it to every network. */
export const natsConfig = ({ data_dir, port, monitor_port, users }: Omit<NatsOptions, 'binary' | 'log_file'>): string =>
  configOf(users, {
    listen: `127.0.0.1:${port}`,
    http: `127.0.0.1:${monitor_port}`,
    store_dir: join(data_dir, 'store'),
  });

/** For a server that is told its addresses and its folder on its command line. */
export const sharedNatsConfig = (users: readonly NatsUser[]): string => configOf(users, {});

/** After a disk was full it answers no append any more, though there be space again, and tells its monitor alone. */
const stallIn = (health: string): string | undefined => {
  const { error = '' } = JSON.parse(health) as Readonly<{ error?: string }>;
  return /write error/i.test(error) ? `has stopped writing (${error.split(': ').at(-1)})` : undefined;
};

export const startNats = async (options: NatsOptions): Promise<Component> => {
  const { binary, data_dir, log_file, port, monitor_port } = options;
  mkdirSync(data_dir, { recursive: true, mode: 0o700 });
  const config_file = join(data_dir, 'nats.conf');
  replaceFile(config_file, natsConfig(options));
  const child = await startChild({
    name: 'nats',
    command: binary,
    args: ['--config', config_file],
    // Its garbage collector would let the heap double before it looks. A limit would be cheaper while the log is small,
    // and would have it collect without end once what it holds of a large log has come near.
    env: { GOGC: '30' },
    cwd: data_dir,
    log_file,
  });
  const health_url = `http://127.0.0.1:${monitor_port}/healthz?js-enabled-only=false`;
  const healthy = () => saysOk(health_url, PROBE_TIMEOUT_MS);
  try {
    options.onStarted?.(child);
    await untilReady(child, healthy, READY_TIMEOUT_MS, options.signal);
  } catch (error) {
    await child.stop('SIGKILL', 0);
    throw error;
  }
  return {
    name: 'nats',
    url: `nats://127.0.0.1:${port}`,
    pid: child.pid,
    exited: child.exited,
    stalled: async () => {
      const { status, text } = await ask(`http://127.0.0.1:${monitor_port}/healthz`, PROBE_TIMEOUT_MS);
      return status === OK ? undefined : stallIn(text);
    },
    stop: (grace_ms) => child.stop('SIGTERM', grace_ms),
  };
};
