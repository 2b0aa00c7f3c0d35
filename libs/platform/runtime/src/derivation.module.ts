// Derivation module: the one feed of a process and all that hangs on it. Only in a process with a context that derives:
// a runner needs no right to read the log.
//
//   V1. The log is written only after every checkpoint of this process was found in it, and after all of it was read.
//   V2. Commits flow only after every projection and reactor has joined, each from its own place.
//   V3. What reads the log and finds it damaged makes it read-only for all who write it from this process.

import {
  Global,
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Config, readSecrets } from '@nexusmon/config';
import { connectNats, inboxPrefixOf, RequestMux } from '@nexusmon/messaging';
import type { NatsConnection } from '@nats-io/nats-core';
import { LogFeed, Projections } from '@nexusmon/projections';
import { Logger } from '@nexusmon/telemetry';
import { Health } from './health.js';
import { LogScrub, type ScrubState } from './log-scrub.js';
import { DECIDING, ProcessRegistry } from './registry.js';

/** What a process has written and not read back is looked at this often. */
const SCRUB_GOES_ON_AFTER_MS = 60_000;

/** The connection of the user who may read the log and append nothing. */
abstract class ReaderNats {
  abstract readonly connection: NatsConnection;
}

const reading = (scrub: ScrubState): string | undefined =>
  scrub.state === 'waiting' || scrub.state === 'reading' ? 'the log is being read' : undefined;

@Injectable()
class Derivation implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly scrub: LogScrub;

  constructor(
    private readonly registry: ProcessRegistry,
    private readonly projections: Projections,
    private readonly feed: LogFeed,
    private readonly health: Health,
    private readonly log: Logger,
    { connection }: ReaderNats,
  ) {
    this.scrub = new LogScrub({
      connection,
      mux: new RequestMux(connection, inboxPrefixOf('reader')),
      streams: feed.identities(),
      log,
      onDamage: (reason) => this.refuseWrites(reason),
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.registry.projections = this.projections;
    const checkpoints = await this.projections.join();
    const here = new Set(this.registry.deciders.map(({ context }) => context));
    const writes_all = DECIDING.every((context) => here.has(context));
    const first = this.scrub.start(writes_all ? { go_on_after_ms: SCRUB_GOES_ON_AFTER_MS } : {});
    for (const { context, log } of this.registry.deciders) {
      let begun = false;
      const read = () => {
        if (begun) return this.scrub.again();
        begun = true;
        return first;
      };
      const status = await log.start(checkpoints, read);
      if (!status.writable) this.log.error({ msg: 'the log is read-only', context, reason: status.reason });
    }
    this.feed.onDamage((reason) => this.refuseWrites(reason));
    this.health.addStartProbe('projections', () => (this.projections.caughtUp() ? undefined : 'catching up'));
    this.health.addStartProbe('scrub', () => reading(this.scrub.state));
    this.health.addProbe('log', () => this.feed.fault);
    this.health.addDetail('projections', () => this.projections.health());
    this.health.addDetail('reactors', () => this.projections.reactorHealth());
    this.health.addDetail('position', () => this.feed.position());
    this.health.addDetail('scrub', () => this.scrub.state);
    this.projections.start({ writes_all });
  }

  /** V3 */
  private refuseWrites(reason: string): void {
    for (const decider of this.registry.deciders) decider.log.refuseWrites(reason);
  }

  beforeApplicationShutdown(): void {
    this.scrub.close();
  }
}

@Global()
@Module({
  providers: [
    Derivation,
    {
      provide: ReaderNats,
      inject: [Config, Logger, ProcessRegistry],
      useFactory: async (config: Config, log: Logger, registry: ProcessRegistry): Promise<ReaderNats> => {
        const { nats_user: user, nats_password: password } = readSecrets(config, 'reader');
        const connection = await connectNats({ url: config.nats.url, user, password, name: 'reader' }, log);
        registry.others.push(connection);
        return { connection };
      },
    },
    {
      provide: LogFeed,
      inject: [ReaderNats, Config, Logger],
      useFactory: ({ connection }: ReaderNats, config: Config, log: Logger) =>
        LogFeed.connect({ connection, streams: config.streams, log }),
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
