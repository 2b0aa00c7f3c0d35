// Process module: what every process has once, whichever contexts live in it.

import { Global, Injectable, Module, type BeforeApplicationShutdown, type DynamicModule } from '@nestjs/common';
import { Config } from '@nexusmon/config';
import { NatsServer } from '@nexusmon/messaging';
import { Logger } from '@nexusmon/telemetry';
import { Health } from './health.js';
import { OpsServer } from './ops-server.js';
import { ProcessRegistry } from './registry.js';
import { within } from './within.js';

/** The process cannot go on; its supervisor starts a new one. */
export abstract class Fatal {
  abstract raise(error: Error): void;
}

/** Long enough for any answer that does not wait for something itself. */
const REQUESTS_DRAIN_MS = 3_000;

/** After every module has ended its intake: what was taken is answered, then what is derived stops. */
@Injectable()
class Ending implements BeforeApplicationShutdown {
  constructor(
    private readonly server: NatsServer,
    private readonly registry: ProcessRegistry,
    private readonly log: Logger,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    if (!(await within(this.server.drain(), REQUESTS_DRAIN_MS)))
      this.log.warn({ msg: 'requests left unanswered', requests: this.server.size });
    await this.registry.projections?.close();
  }
}

@Global()
@Module({})
export class ProcessModule {
  static forRoot(name: string, config: Config, log: Logger, fatal: Fatal): DynamicModule {
    return {
      module: ProcessModule,
      providers: [
        ProcessRegistry,
        Health,
        Ending,
        { provide: Config, useValue: config },
        { provide: Logger, useValue: log },
        { provide: Fatal, useValue: fatal },
        {
          provide: OpsServer,
          inject: [Health, Logger],
          useFactory: (health: Health, logger: Logger) => new OpsServer(health, logger, name),
        },
        {
          provide: NatsServer,
          inject: [ProcessRegistry, Logger],
          useFactory: (registry: ProcessRegistry, logger: Logger) => new NatsServer(() => registry.connections, logger),
        },
      ],
      exports: [ProcessRegistry, Health, Config, Logger, Fatal, OpsServer, NatsServer],
    };
  }
}
