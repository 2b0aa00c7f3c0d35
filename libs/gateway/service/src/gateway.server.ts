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
import { KeyChecks } from './access/key-checks.js';
import { readOperatorKey } from './access/operator-key.js';
import { SessionTokens, tokenKeys } from './access/session-token.js';
import { SessionWatch } from './access/session-watch.js';
import { listSessions, SESSION_PROJECTION, sessionProjection } from './access/session.projection.js';
import { ACCOUNT, Sessions } from './access/sessions.js';
import { Health } from './health.js';
import { CommandsInFlight } from './http/commands.js';
import { allowedOrigins } from './http/security-headers.js';
import { settled } from './http/problem.js';
import { Services } from './http/services.js';
import { makeSurface } from './http/surface.js';
import type { ListSessions } from './routes/auth.routes.js';
import { surfaceRoutes } from './routes/surface.routes.js';
import { EventStreams, READABLE } from './stream/event-streams.js';

/** A request that waits for its mission may go on for minutes: its caller comes back with the same key. */
const DRAIN_MS = 3_000;
const STREAM_LIMITS = { heartbeat_ms: 15_000, patience_ms: 10_000, unread_bytes_max: 1024 * 1024 } as const;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The gateway's own list: it reads its own view, with the same waiting and refusals as the services. */
const sessionList =
  (database: Database, projections: Projections): ListSessions =>
  async ({ min_position, ...listing }) => {
    const refusal = await projections.unreached(SESSION_PROJECTION, min_position);
    if (refusal) return settled({ kind: 'refused', refusal });
    const position = projections.checkpointPosition(SESSION_PROJECTION);
    const found = await listSessions(database, listing);
    if ('refusal' in found) return settled({ kind: 'refused', refusal: found.refusal });
    return { changed: false, position, body: found.page };
  };

@Injectable()
export class GatewayServer implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly http: FastifyInstance;
  private readonly streams: EventStreams;
  private readonly watch: SessionWatch;
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
    const pepper = Buffer.from(secrets.get('pepper'), 'base64');
    const origins = allowedOrigins(access.allowed_origins, access.allowed_tunnel_ids);
    const key = readOperatorKey(access.operator_key, access.operator_key_file, pepper);
    const keys = new KeyChecks({ log, keyring, key, account: ACCOUNT, pepper, logger });
    const tokens = new SessionTokens(tokenKeys(access.jwt_secret, () => secrets.get('session_private_key')));
    const sessions = new Sessions({ log, keyring, tokens, keys, binding: access.session_binding, origins });
    const services = new Services(client);
    this.health = new Health({ log, feed, database, nats, services, own, version });
    const in_flight = new CommandsInFlight();
    this.streams = new EventStreams({
      ...{ feed, mux, keyring, sessions, log: logger, limits: STREAM_LIMITS },
    });
    this.watch = new SessionWatch(feed, (session_id) => {
      sessions.forget(session_id);
      void this.streams.checkSessions(session_id);
    });
    const { streams, health } = this;
    const list_sessions = sessionList(database, projections);
    const keyOf = (actor: string) => keyring.forOwner(actor);
    const parts = { sessions, list_sessions, services, in_flight, streams, health, keyOf };
    this.http = makeSurface({
      routes: surfaceRoutes(parts, version),
      origins,
      trusted_proxies: access.trusted_proxies,
      log: logger,
      authenticate: (request) => sessions.authenticate(request),
      checkKey: ({ ip }, candidate, place) => keys.check(ip, candidate, place),
      account: ACCOUNT,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.watch.run().catch((error: unknown) => this.logger.error({ msg: 'sessions are no longer watched', error }));
    const { host, port } = this.config.gateway;
    const address = await this.http.listen({ host, port });
    this.logger.info({ msg: 'gateway listens', address });
  }

  /** Takes no more and tells the streams. What is being answered has a moment to be finished. */
  async onModuleDestroy(): Promise<void> {
    this.streams.close();
    this.watch.close();
    this.health.close();
    const cut = setTimeout(() => this.http.server.closeAllConnections(), DRAIN_MS);
    await this.http.close();
    clearTimeout(cut);
  }
}
