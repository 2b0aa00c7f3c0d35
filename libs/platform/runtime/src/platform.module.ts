// Platform module: what one context has of its own, under its own NATS user and PostgreSQL role, in whatever process it
// lives. A module that imports `PlatformModule.forContext('mission')` is given mission's connections and no others.

import { createSecretKey } from 'node:crypto';
import type { AnyEntity, EntityName } from '@mikro-orm/core';
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { Config, ContextSecrets, readSecrets, type Context } from '@nexusmon/config';
import { EventLog } from '@nexusmon/event-log';
import { Keyring, type SqlExecutor } from '@nexusmon/keys';
import { connectNats, inboxPrefixOf, MessageClient, NatsServer, RequestMux } from '@nexusmon/messaging';
import { Database, LogFeed, Projections } from '@nexusmon/projections';
import { Logger } from '@nexusmon/telemetry';
import type { NatsConnection } from '@nats-io/nats-core';
import { Derived } from './derived.js';
import { DerivationModule } from './derivation.module.js';
import { Health } from './health.js';
import { healthHandlerOf } from './health.handler.js';
import { Fatal } from './process.module.js';
import { projectionHandlerOf } from './projection.handler.js';
import { DECIDING, ProcessRegistry } from './registry.js';

/** A context's own connection. */
export abstract class ContextNats {
  abstract readonly connection: NatsConnection;
}

export type ContextOptions = Readonly<{ entities?: readonly EntityName<AnyEntity>[] }>;

const messaging = (context: Context): Provider[] => [
  {
    provide: ContextSecrets,
    inject: [Config],
    useFactory: (config: Config) => readSecrets(config, context),
  },
  {
    provide: ContextNats,
    inject: [Config, ContextSecrets, Logger, ProcessRegistry, Health],
    useFactory: async (
      config: Config,
      { nats_user: user, nats_password: password }: ContextSecrets,
      log: Logger,
      registry: ProcessRegistry,
      health: Health,
    ): Promise<ContextNats> => {
      const connection = await connectNats({ url: config.nats.url, user, password, name: context }, log);
      registry.connections.push({ context, connection });
      health.addProbe(`nats.${context}`, () => connection.flush().then(() => undefined));
      return { connection };
    },
  },
  {
    provide: RequestMux,
    inject: [ContextNats, ContextSecrets],
    useFactory: ({ connection }: ContextNats, { nats_user }: ContextSecrets) =>
      new RequestMux(connection, inboxPrefixOf(nats_user)),
  },
  {
    provide: MessageClient,
    inject: [RequestMux, NatsServer],
    useFactory: (mux: RequestMux, server: NatsServer) =>
      new MessageClient(mux, (subject, body, take) => server.ask(context, subject, body, take)),
  },
];

/**
 * Keys cannot be made again from the log: unlike views, they are on disk before anything is sealed under them, whatever
 * the role's connections do otherwise.
 */
const keptForGood = (database: Database): SqlExecutor => ({
  query: (statement, parameters) =>
    database.transaction(async (sql) => {
      await sql.query('set local synchronous_commit = on');
      return sql.query(statement, parameters);
    }),
});

const deciding = (context: Context, { entities = [] }: ContextOptions): Provider[] => [
  {
    provide: Database,
    inject: [Config, ContextSecrets, Health, Logger],
    useFactory: async (config: Config, secrets: ContextSecrets, health: Health, log: Logger) => {
      const { url, connections_max } = config.database;
      const { database_user: user, database_password: password } = secrets;
      const database = await Database.open({ url, user, password, connections_max, name: context, entities, log });
      health.addProbe(`postgres.${context}`, () => database.query('select 1').then(() => undefined));
      return database;
    },
  },
  {
    provide: Keyring,
    inject: [Database, ContextSecrets, LogFeed],
    useFactory: (database: Database, { wrap_key }: ContextSecrets, feed: LogFeed) => {
      const keyring = new Keyring({ sql: keptForGood(database), wrap_key: createSecretKey(wrap_key, 'base64') });
      feed.openWith(keyring);
      return keyring;
    },
  },
  {
    provide: EventLog,
    inject: [ContextNats, RequestMux, Keyring, Config, Fatal, ProcessRegistry, Health, Database, LogFeed],
    useFactory: (
      { connection }: ContextNats,
      mux: RequestMux,
      keyring: Keyring,
      config: Config,
      fatal: Fatal,
      registry: ProcessRegistry,
      health: Health,
      database: Database,
      feed: LogFeed,
    ) => {
      const { monitor_url } = config.nats;
      const log = new EventLog({
        connection,
        mux,
        keyring,
        streams: config.streams,
        monitor: monitor_url === undefined ? undefined : { monitor_url },
        onAppended: (stream, own) => feed.tell(stream, own),
        onFatal: (error) => fatal.raise(error),
      });
      registry.deciders.push({ context, log, database });
      health.addWriteProbe(`log.${context}`, () => {
        const status = log.status();
        return status.writable ? undefined : status.reason;
      });
      health.addProbe(`appends.${context}`, () => log.whyStalled());
      return log;
    },
  },
  {
    provide: Derived,
    inject: [Projections, Database],
    useFactory: (projections: Projections, database: Database) => new Derived(projections, database),
  },
];

const OWN = [ContextSecrets, ContextNats, RequestMux, MessageClient];
const DECIDERS_OWN = [Database, Keyring, EventLog, Derived];

/** One module per context, so that all that import it share one set of connections. */
const modules = new Map<Context, Readonly<{ module: DynamicModule; options: ContextOptions }>>();

@Module({})
export class PlatformModule {
  /** `options`, where there are any, are those of the first call; later calls may leave them out. */
  static forContext(context: Context, options?: ContextOptions): DynamicModule {
    const known = modules.get(context);
    if (known) {
      if (options && options !== known.options) throw new TypeError(`the platform of ${context} was already made`);
      return known.module;
    }
    const decides = DECIDING.includes(context);
    class ContextPlatform {}
    Object.defineProperty(ContextPlatform, 'name', { value: `Platform of ${context}` });
    const module: DynamicModule = {
      module: ContextPlatform,
      imports: decides ? [DerivationModule] : [],
      controllers: [healthHandlerOf(context), ...(decides ? [projectionHandlerOf(context)] : [])],
      providers: [...messaging(context), ...(decides ? deciding(context, options ?? {}) : [])],
      exports: [...OWN, ...(decides ? DECIDERS_OWN : [])],
    };
    modules.set(context, { module, options: options ?? {} });
    return module;
  }
}
