// The open event streams of this process, and lists of events.
//
//   L1. A stream outlives neither its credential (by 5 s at most) nor the process's readiness to serve.
//   L2. Streams are counted: a credential and a process have only so many.
//   L3. Whatever is asked for, an API token is shown what its scopes show.

import { lockoutEvents, sessionEvents, tokenEvents } from '@nexusmon/access-contract';
import { grantEvents, stageEvents } from '@nexusmon/evolution-contract';
import { approvalEvents, restorationEvents, reviewEvents } from '@nexusmon/governance-contract';
import { missionEvents } from '@nexusmon/mission-contract';
import { artifactEvents } from '@nexusmon/vault-contract';
import {
  Catalogues,
  decodeCommit,
  EventStream,
  partitionOf,
  streamName,
  streamOf,
  subjectOf,
  type PositionVector,
} from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import type { RequestMux } from '@nexusmon/messaging';
import type { LogFeed } from '@nexusmon/projections';
import { gauge, type Logger } from '@nexusmon/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Credentials } from '../access/credentials.js';
import { problem } from '../http/problem.js';
import { TAKEN, type Answer, type Principal } from '../http/route.js';
import { shownOf, visibleTo, type EventDocument, type EventFilter } from './event-filter.js';
import type { OutgoingHttpHeaders } from 'node:http';
import { EventReader, type Farewell, type ReaderOptions } from './event-reader.js';

const CREDENTIAL_CHECK_MS = 2_000;
const RETRY_AFTER_SECONDS = '5';

/** Everything that may lie in the log, by its contract. */
export const READABLE = [
  { context: 'mission', name: 'mission', events: missionEvents },
  { context: 'governance', name: 'approval', events: approvalEvents },
  { context: 'governance', name: 'review', events: reviewEvents },
  { context: 'governance', name: 'restoration', events: restorationEvents },
  { context: 'evolution', name: 'stage', events: stageEvents },
  { context: 'evolution', name: 'grant', events: grantEvents },
  { context: 'vault', name: 'artifact', events: artifactEvents },
  { context: 'access', name: 'session', events: sessionEvents },
  { context: 'access', name: 'lockout', events: lockoutEvents },
  { context: 'access', name: 'token', events: tokenEvents },
] as const;

const SESSION_OVER: Farewell = { event: 'closed', code: 'session-ended', detail: 'the session has ended' };
const OVER: Readonly<Record<Principal['kind'], Farewell>> = {
  session: SESSION_OVER,
  key: SESSION_OVER,
  token: { event: 'closed', code: 'token-ended', detail: 'the API token has been revoked or has expired' },
};
const SHUTTING_DOWN: Farewell = {
  event: 'closed',
  code: 'shutting-down',
  detail: 'the gateway stops; come back with the last id',
};

export type StreamOptions = Readonly<{
  feed: LogFeed;
  mux: RequestMux;
  keyring: Keyring;
  credentials: Pick<Credentials, 'stands'>;
  log: Logger;
  limits: Pick<ReaderOptions, 'heartbeat_ms' | 'patience_ms' | 'unread_bytes_max'>;
  streams_max: number;
  streams_per_credential: number;
}>;

type Opening = Readonly<{
  request: FastifyRequest;
  reply: FastifyReply;
  principal: Principal;
  wanted: EventFilter;
  from: PositionVector | 'start' | undefined;
}>;

type Open = Readonly<{ reader: EventReader; principal: Principal }>;

type Listing = Readonly<{
  mission_id: string;
  principal: Principal;
  wanted: EventFilter;
  from: PositionVector | undefined;
  limit: number;
}>;

const seenBy = (principal: Principal, wanted: EventFilter): EventFilter => {
  const visible = visibleTo(principal);
  return (event) => visible(event) && wanted(event);
};
type Listed = Readonly<{ events: readonly EventDocument[]; next: string | undefined }>;

export class EventStreams {
  private readonly open_streams = new Set<Open>();
  private readonly catalogues = new Catalogues(READABLE);
  private readonly check: NodeJS.Timeout;
  private readonly endGauge: () => void;
  private closing = false;

  constructor(private readonly options: StreamOptions) {
    this.check = setInterval(() => void this.checkCredentials(), CREDENTIAL_CHECK_MS);
    this.check.unref();
    this.endGauge = gauge('nexusmon_event_streams', { says: 'Open event streams.' }, () => this.open_streams.size);
  }

  open({ request, reply, principal, wanted, from }: Opening): Answer {
    this.admit(principal);
    const headers = Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined);
    reply.hijack();
    const { feed, limits, log } = this.options;
    reply.raw.writeHead(200, {
      ...(Object.fromEntries(headers) as OutgoingHttpHeaders),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    // The time for a whole request is over long before a stream is.
    request.raw.socket.setTimeout(0);
    const reader = new EventReader({ feed, wanted: seenBy(principal, wanted), response: reply.raw, ...limits });
    const open = { reader, principal };
    this.open_streams.add(open);
    reader
      .run(from)
      .catch((error: unknown) => log.error({ msg: 'an event stream failed', error, request_id: request.id }))
      .finally(() => this.open_streams.delete(open));
    return TAKEN;
  }

  /** What the log holds of a mission itself, oldest first. */
  async list({ mission_id, principal, wanted, from, limit }: Listing): Promise<Listed> {
    const seen = seenBy(principal, wanted);
    const identities = this.options.feed.identities();
    const number = streamOf(partitionOf(mission_id), identities.length);
    const identity = identities[number];
    const start = from?.get(number);
    if (!identity || (from && start?.incarnation !== identity.incarnation))
      throw problem('malformed-cursor', 'the cursor belongs to another log');
    const stream = new EventStream(this.options.mux, number, streamName(number));
    const subject = subjectOf('mission', 'mission', mission_id);
    const events: EventDocument[] = [];
    let sequence = start?.sequence ?? 1;
    let after_index = start?.index ?? -1;
    for (;;) {
      const message = await stream.next(subject, sequence);
      if (!message) return { events, next: undefined };
      const commit = decodeCommit(message, this.catalogues, this.options.keyring, identity);
      const known = commit.sequence === start?.sequence ? after_index : -1;
      for (const { document } of await shownOf(commit, seen, (index) => commit.position(index), known)) {
        if (events.length === limit) return { events, next: events.at(-1)?.position };
        events.push(document);
      }
      sequence = commit.sequence + 1;
      after_index = -1;
    }
  }

  /** Ends the streams of credentials that have ended: of all, or of one whose end this process has seen. */
  async checkCredentials(credential_id?: string): Promise<void> {
    const asked = new Map<string, Promise<boolean>>();
    for (const { reader, principal } of [...this.open_streams]) {
      if (credential_id !== undefined && principal.credential_id !== credential_id) continue;
      const stands = asked.get(principal.credential_id) ?? this.standsFor(principal);
      asked.set(principal.credential_id, stands);
      if (!(await stands)) reader.end(OVER[principal.kind]);
    }
  }

  /** Ends all streams, and takes no more. */
  close(): void {
    this.closing = true;
    clearInterval(this.check);
    this.endGauge();
    for (const { reader } of [...this.open_streams]) reader.end(SHUTTING_DOWN);
  }

  private admit({ credential_id }: Principal): void {
    const mine = [...this.open_streams].filter(({ principal }) => principal.credential_id === credential_id);
    const { streams_max, streams_per_credential } = this.options;
    if (!this.closing && this.open_streams.size < streams_max && mine.length < streams_per_credential) return;
    throw problem('too-many-requests', {
      detail: `at most ${streams_per_credential} event streams of one credential, and ${streams_max} in all`,
      headers: { 'retry-after': RETRY_AFTER_SECONDS },
    });
  }

  /** When the log cannot be asked nothing flows either: the answer can wait until it is back. */
  private async standsFor(principal: Principal): Promise<boolean> {
    try {
      return await this.options.credentials.stands(principal);
    } catch (error) {
      this.options.log.warn({
        msg: 'a credential could not be checked',
        credential_id: principal.credential_id,
        error,
      });
      return true;
    }
  }
}
