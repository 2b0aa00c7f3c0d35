import type { NatsConnection } from '@nats-io/nats-core';
import type { Context } from '@nexusmon/config';
import type { EventLog } from '@nexusmon/event-log';
import type { ContextConnection } from '@nexusmon/messaging';
import type { Database, Projections } from '@nexusmon/projections';

/** What a context that decides has beside its connection. */
export type Decider = Readonly<{ context: Context; log: EventLog; database: Database }>;

/** A runner asks and reports: it decides nothing, keeps nothing and may not read the log. */
export const DECIDING: readonly Context[] = ['mission', 'governance', 'access', 'vault', 'evolution'];

/** What the modules of one process have opened: filled while Nest builds them, read by whoever starts and stops it. */
export class ProcessRegistry {
  readonly connections: ContextConnection[] = [];
  /** Connections that answer no requests. */
  readonly others: NatsConnection[] = [];
  readonly deciders: Decider[] = [];
  projections: Projections | undefined;
}
