// Derivation module: the one feed of a process and all that hangs on it. Only in a process with a context that derives:
// a runner needs no right to read the log.
//
//   V1. The log is written only after every checkpoint of this process was found in it.
//   V2. Commits flow only after every projection and reactor has joined, each from its own place.

import { Global, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { Config, readSecrets } from '@nexusmon/config';
import { connectNats } from '@nexusmon/messaging';
import { LogFeed, Projections } from '@nexusmon/projections';
import { Logger } from '@nexusmon/telemetry';
import { Health } from './health.js';
import { ProcessRegistry } from './registry.js';

@Injectable()
class Derivation implements OnApplicationBootstrap {
  constructor(
    private readonly registry: ProcessRegistry,
    private readonly projections: Projections,
    private readonly feed: LogFeed,
    private readonly health: Health,
    private readonly log: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.registry.projections = this.projections;
    const checkpoints = await this.projections.join();
    for (const { context, log } of this.registry.deciders) {
      const status = await log.start(checkpoints);
      if (!status.writable) this.log.error({ msg: 'the log is read-only', context, reason: status.reason });
    }
    this.health.addProbe('projections', () => (this.projections.caughtUp() ? undefined : 'catching up'));
    this.health.addProbe('log', () => this.feed.fault);
    this.health.addDetail('projections', () => this.projections.health());
    this.health.addDetail('reactors', () => this.projections.reactorHealth());
    this.health.addDetail('position', () => this.feed.position());
    this.projections.start();
  }
}

@Global()
@Module({
  providers: [
    Derivation,
    {
      provide: LogFeed,
      inject: [Config, Logger, ProcessRegistry],
      useFactory: async (config: Config, log: Logger, registry: ProcessRegistry) => {
        const { nats_user: user, nats_password: password } = readSecrets(config, 'reader');
        const connection = await connectNats({ url: config.nats.url, user, password, name: 'reader' }, log);
        registry.others.push(connection);
        return LogFeed.connect({ connection, streams: config.streams, log });
      },
    },
    {
      provide: Projections,
      inject: [LogFeed, Logger],
      useFactory: (feed: LogFeed, log: Logger) => new Projections(feed, log),
    },
  ],
  exports: [LogFeed, Projections],
})
export class DerivationModule {}
