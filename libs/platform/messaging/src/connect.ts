import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { Logger } from '@nexusmon/telemetry';

export type NatsUser = Readonly<{ url: string; user: string; password: string; name: string }>;

const RECONNECT_WAIT_MS = 100;
const RECONNECT_JITTER_MS = 100;
const PING_INTERVAL_MS = 10_000;

/** Where this user, and no other, may listen for answers. */
export const inboxPrefixOf = (user: string): string => `_INBOX_${user}`;

/** One user's connection. It comes back by itself for as long as the process lives. */
export const connectNats = async ({ url, user, password, name }: NatsUser, log: Logger): Promise<NatsConnection> => {
  const connection = await connect({
    servers: url,
    user,
    pass: password,
    name,
    inboxPrefix: inboxPrefixOf(user),
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    ignoreAuthErrorAbort: true,
  });
  void watch(connection, user, log);
  return connection;
};

const watch = async (connection: NatsConnection, user: string, log: Logger): Promise<void> => {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') log.warn({ msg: 'nats connection lost', user });
    else if (status.type === 'reconnect') log.info({ msg: 'nats connection back', user });
    else if (status.type === 'error') log.error({ msg: 'nats error', user, error: status.error });
  }
};
