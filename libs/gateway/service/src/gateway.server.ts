// The gateway in its process: everything is put together here, listens once all modules are up, and stops first.

import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Config, ContextSecrets } from '@nexusmon/config';
import { EventLog } from '@nexusmon/event-log';
import { Keyring } from '@nexusmon/keys';
import { MessageClient, RequestMux } from '@nexusmon/messaging';
import { Database, LogFeed, Projections } from '@nexusmon/projections';
import { ContextNats, Derived, Health as ProcessHealth } from '@nexusmon/runtime';
import { Logger } from '@nexusmon/telemetry';
import type { FastifyInstance } from 'fastify';
import { readFileSync } from 'node:fs';
import { accessLists, makeAccess } from './access/access.js';
import { CredentialWatch } from './access/credential-watch.js';
import { sessionProjection } from './access/session.projection.js';
import { tokenProjection } from './access/token.projection.js';
import { Health } from './health.js';
import { CommandsInFlight } from './http/commands.js';
import { Services } from './http/services.js';
import { makeSurface } from './http/surface.js';
import { surfaceRoutes } from './routes/surface.routes.js';
import { UploadAdmission } from './routes/upload-limits.js';
import { EventStreams, READABLE } from './stream/event-streams.js';

/** A request that waits for its mission may go on for minutes: its caller comes back with the same key. */
const DRAIN_MS = 3_000;
const STREAM_LIMITS = { heartbeat_ms: 15_000, patience_ms: 10_000, unread_bytes_max: 1024 * 1024 } as const;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

@Injectable()
export class GatewayServer implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly http: FastifyInstance;
  private readonly streams: EventStreams;
  private readonly watch: CredentialWatch;
  private readonly health: Health;

  constructor(
    @Inject(Config) private readonly config: Config,
    @Inject(ContextSecrets) secrets: ContextSecrets,
    @Inject(EventLog) log: EventLog,
    @Inject(Keyring) keyring: Keyring,
    @Inject(MessageClient) client: MessageClient,
    @Inject(RequestMux) mux: RequestMux,
    @Inject(ContextNats) nats: ContextNats,
    @Inject(ProcessHealth) own: ProcessHealth,
    @Inject(LogFeed) feed: LogFeed,
    @Inject(Database) database: Database,
    @Inject(Derived) derived: Derived,
    @Inject(Projections) projections: Projections,
    @Inject(Logger) private readonly logger: Logger,
  ) {
    const { access } = config;
    feed.know(READABLE);
    derived.addProjection(sessionProjection);
    derived.addProjection(tokenProjection);
    const made = makeAccess({ settings: access, secrets, log, keyring, logger });
    const { origins, sessions, tokens, credentials, admission } = made;
    const services = new Services(client);
    this.health = new Health({ log, feed, database, nats, services, own, version });
    const in_flight = new CommandsInFlight();
    this.streams = new EventStreams({
      ...{ feed, mux, keyring, credentials, log: logger, limits: STREAM_LIMITS },
      streams_max: access.event_streams_max,
      streams_per_credential: access.event_streams_per_credential,
    });
    this.watch = new CredentialWatch(feed, (credential_id) => {
      credentials.forget(credential_id);
      void this.streams.checkCredentials(credential_id);
    });
    const { streams, health } = this;
    const lists = accessLists(database, projections);
    const keyOf = (actor: string) => keyring.forOwner(actor);
    const uploads = new UploadAdmission(config.uploads);
    const parts = { sessions, tokens, lists, services, in_flight, streams, health, keyOf, uploads };
    this.http = makeSurface({
      routes: surfaceRoutes(parts, version),
      origins,
      trusted_proxies: access.trusted_proxies,
      log: logger,
      admission,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.watch.run().catch((error: unknown) => this.logger.error({ msg: 'credentials are no longer watched', error }));
    const { host, port } = this.config.gateway;
    const address = await this.http.listen({ host, port });
    this.logger.info({ msg: 'gateway listens', address });
  }

  /** Takes no more and tells the streams. What is being answered has a moment to be finished. */
  async onModuleDestroy(): Promise<void> {
    this.streams.close();
    this.watch.close();
    const cut = setTimeout(() => this.http.server.closeAllConnections(), DRAIN_MS);
    await this.http.close();
    clearTimeout(cut);
  }
}
