// NATS server
//
// Nest's transport for requests between contexts. One connection per context, one queue group per context, so that any
// number of processes share its requests. Nest's own transport parses twice, makes a stream of every answer and cannot
// drain; this one does as little as the subject needs.
//
//   N1. Every request that was received is answered: with a reply of its handler, a refusal, or why there is none.
//   N2. No message ends the loop: what is not JSON, not keepable or not of the schema is a refusal.
//   N3. At most `REQUESTS_MAX` requests of a context are worked on at once; the next is told to come again.
//   N4. Draining stops the intake, then waits for what was taken; only then may connections close.
//   N5. Who asks from within this process is answered here, without the wire, and by the same rules: what may not be
//       asked by that context is refused, the limit and the schema hold, and neither side shares a value with the
//       other. A context that does not live here, or has stopped its intake, is asked over NATS.

import { Catch, type ExceptionFilter } from '@nestjs/common';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import type { Attributes, Span } from '@opentelemetry/api';
import { findUnkeepable, mayAsk, type Refusal, type Reply } from '@nexusmon/shared-contract';
import { counter, histogram, withRemoteSpan, withServerSpan, type Logger } from '@nexusmon/telemetry';
import { isObservable, lastValueFrom, throwError, type Observable } from 'rxjs';
import type { z } from 'zod';
import { contextOfSubject, type HandlerExtras } from './handle.js';
import { TRACEPARENT } from './message-client.js';
import { Outbox } from './outbox.js';
import { writeReply } from './reply-text.js';
import { RequestNotPermitted } from './request-mux.js';
import { INTERNAL, isDependent } from './unavailable.js';
import { overWire } from './wire.js';

/** Generous, since long polls and waiting answers count too. */
const REQUESTS_MAX = 4_096;
const RETRY_AFTER_SECONDS = 1;

const requestSeconds = histogram('nexusmon_request_duration_seconds', { says: 'Requests between contexts.' });
const requestsFailed = counter('nexusmon_requests_failed', { says: 'Requests answered without an answer.' });

type Unavailability = Extract<Reply<never>, { kind: 'unavailable' }>;

const unavailable = (dependency: string, detail: string, code?: unknown): Unavailability => ({
  kind: 'unavailable',
  unavailable: {
    dependency,
    ...(typeof code === 'string' ? { code } : {}),
    detail,
    retry_after_seconds: RETRY_AFTER_SECONDS,
  },
});

const tooMany = ({ context }: Route): Unavailability => unavailable(context, 'too many requests at once');

const refused = (refusal: Refusal): Reply<never> => ({ kind: 'refused', refusal });

type Read = Readonly<{ ok: true; request: unknown }> | Readonly<{ ok: false; refusal: Refusal }>;

const malformed = (detail: string): Read => ({ ok: false, refusal: { code: 'malformed', detail } });

const pointer = (path: readonly PropertyKey[]): string => path.map((part) => `/${String(part)}`).join('');

/** Parses once. */
const readRequest = (data: Uint8Array, schema: z.ZodType): Read => {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
  } catch {
    return malformed('the request is not JSON');
  }
  return checkRequest(value, schema);
};

/** What the schema says of a value is asked only after it is known that every store can keep it. */
const checkRequest = (value: unknown, schema: z.ZodType): Read => {
  const unkeepable = findUnkeepable(value);
  if (unkeepable)
    return {
      ok: false,
      refusal: {
        code: 'invalid',
        detail: 'the request holds what cannot be kept',
        errors: [{ path: pointer(unkeepable.path), message: unkeepable.message }],
      },
    };
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, request: parsed.data };
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: pointer(path), message }));
  return { ok: false, refusal: { code: 'invalid', detail: 'the request is not as its schema says', errors } };
};

/** Nest hides what a handler threw behind `Internal server error`; this hands it on to where it is logged once. */
@Catch()
export class FaultsPass implements ExceptionFilter {
  catch(fault: unknown): Observable<never> {
    return throwError(() => fault);
  }
}

export type ContextConnection = Readonly<{ context: string; connection: NatsConnection }>;

type Route = Readonly<{
  subject: string;
  context: string;
  schema: z.ZodType;
  attributes: Attributes;
  handler: MessageHandler;
  outbox: Outbox;
}>;

/** An answer goes nowhere else, whatever a request names: least of all into the log. */
const INBOX = /^_INBOX[._]/;

export class NatsServer extends Server implements CustomTransportStrategy {
  private readonly subscriptions: Subscription[] = [];
  /** What is answered here, until the intake ends. */
  private readonly routes = new Map<string, Route>();
  private readonly working = new Map<string, number>();
  private idle: (() => void) | undefined;

  constructor(
    private readonly connections: () => readonly ContextConnection[],
    private readonly log: Logger,
    private readonly requests_max = REQUESTS_MAX,
  ) {
    super();
  }

  listen(callback: (error?: unknown) => void): void {
    const connections = new Map(this.connections().map(({ context, connection }) => [context, connection]));
    for (const [subject, handler] of this.messageHandlers) {
      const context = contextOfSubject(subject);
      const connection = connections.get(context);
      const { schema } = (handler.extras ?? {}) as Partial<HandlerExtras>;
      if (!connection || !schema) {
        callback(new Error(`${subject}: ${connection ? 'made without @Handle' : `this process is not ${context}`}`));
        return;
      }
      const attributes = { 'messaging.destination.name': subject };
      const route = { subject, context, schema, attributes, handler, outbox: Outbox.of(connection) };
      this.subscribe(connection, route);
      this.routes.set(subject, route);
    }
    // Whoever is told that this process listens may ask at once: the server must know of it by then.
    Promise.all([...connections.values()].map((connection) => connection.flush())).then(() => callback(), callback);
  }

  /**
   * The answer to a context of this process, as `take` takes it over; undefined where NATS has to be asked (N5). What
   * is taken shares nothing with the reply.
   */
  ask<Taken>(
    asker: string,
    subject: string,
    body: unknown,
    take: (reply: Reply<unknown>) => Taken,
  ): Promise<Taken> | undefined {
    const route = this.routes.get(subject);
    if (!route) return undefined;
    if (!mayAsk(asker, subject)) return Promise.reject(new RequestNotPermitted(subject));
    return this.answerHere(body, route, take);
  }

  /** How many requests are being worked on. */
  get size(): number {
    return [...this.working.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Stops the intake and waits for what was taken (N4). The server keeps answering until then. */
  async drain(): Promise<void> {
    this.routes.clear();
    await Promise.all(this.subscriptions.splice(0).map((subscription) => subscription.drain()));
    if (this.size > 0) await this.whenIdle();
  }

  private whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.idle = resolve;
    });
  }

  /** Nothing: Nest closes its transport before any module has ended its intake. `drain` is what ends it. */
  close(): void {}

  on(): never {
    throw new Error('this transport has no events of its own');
  }

  unwrap<Result>(): Result {
    return this.connections() as Result;
  }

  private subscribe(connection: NatsConnection, route: Route): void {
    const subscription = connection.subscribe(route.subject, {
      queue: route.context,
      callback: (error, message) => {
        if (error) this.log.error({ msg: 'subscription failed', subject: route.subject, error });
        else void this.answer(message, route);
      },
    });
    this.subscriptions.push(subscription);
  }

  private async answer(message: Msg, route: Route): Promise<void> {
    if (!this.enter(route)) {
      this.respond(message, tooMany(route), route);
      return;
    }
    const began_ms = performance.now();
    try {
      this.respond(message, await this.reply(message, route), route);
    } finally {
      this.leave(route, began_ms);
    }
  }

  private async answerHere<Taken>(body: unknown, route: Route, take: (reply: Reply<unknown>) => Taken): Promise<Taken> {
    if (!this.enter(route)) return take(tooMany(route));
    const began_ms = performance.now();
    try {
      return take(await this.replyHere(overWire(body), route));
    } finally {
      this.leave(route, began_ms);
    }
  }

  /** False where there are too many (N3). */
  private enter({ context }: Route): boolean {
    const working = this.working.get(context) ?? 0;
    if (working >= this.requests_max) return false;
    this.working.set(context, working + 1);
    return true;
  }

  private leave({ context, subject }: Route, began_ms: number): void {
    requestSeconds((performance.now() - began_ms) / 1_000, { subject });
    this.working.set(context, (this.working.get(context) ?? 1) - 1);
    // The answer leaves at the end of this turn: before that nobody may close the connection.
    if (this.idle && this.size === 0) setImmediate(this.idle);
  }

  private async reply(message: Msg, route: Route): Promise<Reply<unknown>> {
    const read = readRequest(message.data, route.schema);
    if (!read.ok) return refused(read.refusal);
    const header = message.headers?.get(TRACEPARENT);
    const attributes = { ...route.attributes, 'messaging.system': 'nats' };
    return withRemoteSpan(header, route.subject, attributes, (span) => this.handle(read.request, route, span));
  }

  private async replyHere(value: unknown, route: Route): Promise<Reply<unknown>> {
    const read = checkRequest(value, route.schema);
    if (!read.ok) return refused(read.refusal);
    return withServerSpan(route.subject, route.attributes, (span) => this.handle(read.request, route, span));
  }

  private async handle(request: unknown, { subject, handler }: Route, span: Span): Promise<Reply<unknown>> {
    try {
      const answer: unknown = await handler(request);
      return (isObservable(answer) ? await lastValueFrom(answer) : answer) as Reply<unknown>;
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error));
      return this.fault(subject, error);
    }
  }

  private fault(subject: string, error: unknown): Reply<never> {
    const dependency = isDependent(error) ? error.dependency : INTERNAL;
    requestsFailed({ subject, dependency });
    this.log.error({ msg: 'request failed', subject, dependency, error });
    if (isDependent(error)) return unavailable(error.dependency, error.message, error.code);
    return unavailable(INTERNAL, 'the service failed on this request; its log says why');
  }

  private respond(message: Msg, reply: Reply<unknown>, route: Route): void {
    if (!message.reply) return;
    if (!INBOX.test(message.reply)) {
      this.log.warn({ msg: 'a request wanted its answer outside an inbox', subject: route.subject });
      return;
    }
    const text = writeReply(reply);
    route.outbox.post(() => this.deliver(message, text, route));
  }

  private deliver(message: Msg, text: string, { subject }: Route): void {
    try {
      message.respond(text);
    } catch (error) {
      // Larger than the server takes, or the connection has gone: the asker learns it from this, or by waiting.
      const { unavailable: why } = this.fault(subject, error) as Unavailability;
      this.respondShortly(message, { kind: 'unavailable', unavailable: why });
    }
  }

  private respondShortly(message: Msg, reply: Unavailability): void {
    try {
      message.respond(JSON.stringify(reply));
    } catch (error) {
      this.log.warn({ msg: 'answer not sent', subject: message.subject, error });
    }
  }
}
