// The log of a running product, written to as one of its contexts would.

import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const from = (name) => import(new URL(`../../libs/${name}.js`, import.meta.url));

export const openLog = async (product, context = 'mission') => {
  const { EventLog } = await from('platform/event-log/dist/index');
  const { connectNats, inboxPrefixOf, RequestMux } = await from('platform/messaging/dist/index');
  const { Keyring } = await from('platform/keys/dist/index');
  const { Database } = await from('platform/projections/dist/index');
  const { silentLogger } = await from('platform/telemetry/dist/index');
  const secrets = JSON.parse(readFileSync(join(product.data_dir, 'secrets', `${context}.json`), 'utf8'));
  const { nats_user: user, nats_password: password, database_user, database_password, wrap_key } = secrets;
  const { nats_url, nats_monitor_url, database_url } = product.run;
  const url = new URL(nats_url);
  const connection = await connectNats({ url: `nats://${url.host}`, user, password, name: 'bench' }, silentLogger());
  const credentials = { url: database_url, user: database_user, password: database_password };
  const database = await Database.open({ ...credentials, connections_max: 2, name: 'bench' });
  const keyring = new Keyring({ sql: database, wrap_key: createSecretKey(wrap_key, 'base64'), pool_size: 512 });
  const log = new EventLog({
    connection,
    mux: new RequestMux(connection, inboxPrefixOf(user)),
    keyring,
    monitor: { monitor_url: nats_monitor_url },
    onFatal: (error) => {
      throw error;
    },
  });
  const status = await log.start();
  if (!status.writable) throw new Error(status.reason);
  return { log, keyring, close: () => Promise.all([connection.close(), database.close()]) };
};
