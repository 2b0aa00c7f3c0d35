// Request mux
//
// Requests over one connection: one inbox, one map, one sweep. The client's own `request` builds an Error, a timer and
// a token for every call, also when it succeeds; on the hot path that is a third of a process's time.
//
//   X1. Every request settles exactly once: with its reply, `NoResponders`, `RequestTimedOut`, `ConnectionLost` or
//       `RequestNotPermitted`.
//   X2. A request made while the connection is down is sent when it is back, unless it has timed out by then: the
//       client throws away what is published in between.
//   X3. A request that was on its way when the connection broke fails at once, and only says that nobody knows.

import {
  createInbox,
  PermissionViolationError,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Payload,
} from '@nats-io/nats-core';

import { Outbox } from './outbox.js';

/** A time-out is late by at most this much. */
const SWEEP_MS = 25;
const NO_RESPONDERS = 503;

/** No reply in time: whether the request was carried out is unknown. */
export class RequestTimedOut extends Error {
  override readonly name = 'RequestTimedOut';
  constructor(
    readonly subject: string,
    readonly timeout_ms: number,
  ) {
    super(`no reply on ${subject} within ${timeout_ms} ms`);
  }
}

/** Nobody listens on the subject: the request was not carried out. */
export class NoResponders extends Error {
  override readonly name = 'NoResponders';
  constructor(readonly subject: string) {
    super(`nobody answers on ${subject}`);
  }
}

/** The connection broke while the request was on its way: whether it was carried out is unknown. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  constructor(readonly subject: string) {
    super(`the connection broke before the reply on ${subject}`);
  }
}

/** This user may not publish there: the request was not carried out, and no retry will help. */
export class RequestNotPermitted extends Error {
  override readonly name = 'RequestNotPermitted';
  constructor(
    readonly subject: string,
    options?: ErrorOptions,
  ) {
    super(`this connection may not publish on ${subject}`, options);
  }
}

export type RequestOptions = Readonly<{ timeout_ms: number; headers?: MsgHdrs }>;

type Pending = {
  readonly subject: string;
  readonly timeout_ms: number;
  readonly deadline_ms: number;
  readonly resolve: (reply: Msg) => void;
  readonly reject: (error: Error) => void;
  /** What is still to be sent; undefined once it is on its way. */
  unsent: (() => void) | undefined;
};

export class RequestMux {
  private readonly inbox: string;
  private readonly pending = new Map<string, Pending>();
  private sequence = 0;
  private connected = true;
  private sweep: NodeJS.Timeout | undefined;
  private readonly outbox: Outbox;

  /** `inbox_prefix` is the only place where this connection's user may listen for replies. */
  constructor(
    private readonly connection: NatsConnection,
    inbox_prefix: string,
  ) {
    this.inbox = `${createInbox(inbox_prefix)}.`;
    this.outbox = Outbox.of(connection);
    connection.subscribe(`${this.inbox}*`, {
      callback: (error, message) => {
        if (error) this.rejectAll(() => error);
        else this.settle(message);
      },
    });
    void this.watch();
    void connection.closed().then(() => {
      this.rejectAll(({ subject }) => new ConnectionLost(subject));
      clearInterval(this.sweep);
    });
  }

  request(subject: string, payload: Payload, { timeout_ms, headers }: RequestOptions): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const token = (this.sequence += 1).toString(36);
      const reply = this.inbox + token;
      const send = () => this.connection.publish(subject, payload, headers ? { reply, headers } : { reply });
      const deadline_ms = performance.now() + timeout_ms;
      this.pending.set(token, { subject, timeout_ms, deadline_ms, resolve, reject, unsent: send });
      if (this.connected) this.outbox.post(() => this.sendOne(token));
      this.sweep ??= setInterval(() => this.expire(), SWEEP_MS);
    });
  }

  /** How many requests wait for their reply. */
  get size(): number {
    return this.pending.size;
  }

  private settle(message: Msg): void {
    const token = message.subject.slice(this.inbox.length);
    const request = this.pending.get(token);
    if (!request) return; // It timed out, and its caller has gone.
    this.pending.delete(token);
    if (message.data.length === 0 && message.headers?.code === NO_RESPONDERS)
      request.reject(new NoResponders(request.subject));
    else request.resolve(message);
  }

  private expire(): void {
    const now_ms = performance.now();
    for (const [token, request] of this.pending) {
      if (request.deadline_ms > now_ms) continue;
      this.pending.delete(token);
      request.reject(new RequestTimedOut(request.subject, request.timeout_ms));
    }
    if (this.pending.size > 0) return;
    clearInterval(this.sweep);
    this.sweep = undefined;
  }

  private async watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') {
        this.connected = false;
        this.rejectAll(
          ({ subject }) => new ConnectionLost(subject),
          ({ unsent }) => unsent === undefined,
        );
      } else if (status.type === 'reconnect') {
        this.connected = true;
        this.sendWaiting();
      } else if (status.type === 'error' && status.error instanceof PermissionViolationError) {
        const { error } = status;
        this.rejectAll(
          ({ subject }) => new RequestNotPermitted(subject, { cause: error }),
          ({ subject }) => error.operation === 'publish' && subject === error.subject,
        );
      }
    }
  }

  private sendWaiting(): void {
    for (const token of this.pending.keys()) this.sendOne(token);
  }

  /** X2: what could not be sent because the line is down waits until it is back. */
  private sendOne(token: string): void {
    const request = this.pending.get(token);
    if (!request?.unsent || !this.connected) return;
    const { unsent } = request;
    request.unsent = undefined;
    try {
      unsent();
    } catch (error) {
      // Closed, or too large: it was never on its way.
      this.pending.delete(token);
      request.reject(error instanceof Error ? error : new ConnectionLost(request.subject));
    }
  }

  private rejectAll(because: (request: Pending) => Error, which: (request: Pending) => boolean = () => true): void {
    for (const [token, request] of this.pending) {
      if (!which(request)) continue;
      this.pending.delete(token);
      request.reject(because(request));
    }
  }
}
