// The product with a nats-server that the test runs itself, behind a line of its own: both can be as bad as is wished.

import { NatsServer } from '../../libs/platform/event-log/src/log.fixture.js';
import { NatsLine } from './nats-line.js';
import { Product, type ProductOptions } from './product.js';

/** As `docs/operations.md` asks of a server that runs elsewhere. */
const CONFIGURATION = 'max_payload: 8388608\nauthorization { user: drill, password: drill }';

export type OutsideLog = Readonly<{
  product: Product;
  nats: NatsServer;
  line: NatsLine;
  stop: () => Promise<void>;
}>;

export const startOverOutsideLog = async ({ env, ...options }: ProductOptions = {}): Promise<OutsideLog> => {
  const nats = await NatsServer.start('always', CONFIGURATION);
  const line = await NatsLine.before(nats.port);
  const product = await Product.start({
    ...options,
    env: {
      NATS_URL: `nats://drill:drill@127.0.0.1:${line.port}`,
      NATS_MONITOR_URL: nats.monitor_url,
      NEXUSMON_RATE_PER_CREDENTIAL: '1000000',
      ...env,
    },
  });
  const stop = async () => {
    line.heal();
    await product.remove();
    await line.close();
    await nats.stop();
  };
  return { product, nats, line, stop };
};
