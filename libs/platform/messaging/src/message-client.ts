import { MsgHdrsImpl, type MsgHdrs } from '@nats-io/nats-core';
import type { Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import type { z } from 'zod';
import { contextOfSubject } from './handle.js';
import { readReply, textOf, type JsonText } from './reply-text.js';
import { ConnectionLost, NoResponders, RequestTimedOut, type RequestMux } from './request-mux.js';
import { Unavailable } from './unavailable.js';
import { overWire } from './wire.js';

export const REQUEST_TIMEOUT_MS = 5_000;
export const TRACEPARENT = 'traceparent';

const traceHeaders = (): MsgHdrs | undefined => {
  const header = traceparent();
  if (header === undefined) return undefined;
  return MsgHdrsImpl.fromRecord({ [TRACEPARENT]: [header] });
};

export type MessageOptions<Body> = Readonly<{ timeout_ms?: number; reply?: z.ZodType<Reply<Body>> }>;

/** Asks whoever answers in this process; undefined for what is answered elsewhere. `take` makes a reply the asker's. */
export type AskHere = <Taken>(
  subject: string,
  body: unknown,
  take: (reply: Reply<unknown>) => Taken,
) => Promise<Taken> | undefined;

/** Requests to other contexts, as the user of one. Injectable: the class is its own token. */
export class MessageClient {
  constructor(
    private readonly mux: RequestMux,
    private readonly askHere: AskHere = () => undefined,
  ) {}

  /**
   * Throws `Unavailable` when nobody answers. A reply is checked only when a schema is given: services of one release
   * trust each other, and nothing is validated twice on the hot path.
   */
  async request<Body = unknown>(
    subject: string,
    body: unknown,
    { timeout_ms = REQUEST_TIMEOUT_MS, reply: replySchema }: MessageOptions<Body> = {},
  ): Promise<Reply<Body>> {
    const here = this.askHere(subject, body, overWire);
    const reply = await (here
      ? inTime(here, subject, timeout_ms)
      : this.raw(subject, JSON.stringify(body), timeout_ms));
    return replySchema ? replySchema.parse(reply) : (reply as Reply<Body>);
  }

  /** The same over NATS, wherever the answer comes from, with a payload that is text and a reply as it came. */
  async raw(subject: string, payload: string, timeout_ms = REQUEST_TIMEOUT_MS): Promise<unknown> {
    return JSON.parse((await this.bytes(subject, payload, timeout_ms)).toString('utf8'));
  }

  /** For whoever hands a body on without looking into it. */
  async passing(subject: string, body: unknown, timeout_ms = REQUEST_TIMEOUT_MS): Promise<Reply<JsonText>> {
    const here = this.askHere(subject, body, textOf);
    if (here) return inTime(here, subject, timeout_ms);
    return readReply(await this.bytes(subject, JSON.stringify(body), timeout_ms));
  }

  private async bytes(subject: string, payload: string, timeout_ms: number): Promise<Buffer> {
    const { data } = await this.send(subject, payload, traceHeaders(), timeout_ms);
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }

  private async send(subject: string, payload: string, headers: MsgHdrs | undefined, timeout_ms: number) {
    try {
      return await this.mux.request(subject, payload, headers ? { timeout_ms, headers } : { timeout_ms });
    } catch (cause) {
      const known =
        cause instanceof NoResponders || cause instanceof RequestTimedOut || cause instanceof ConnectionLost;
      if (!known) throw cause;
      throw new Unavailable(contextOfSubject(subject), cause.message, { cause });
    }
  }
}

/** Who does not answer in time is away, in this process as elsewhere: what comes later is nobody's. */
const inTime = <Answer>(work: Promise<Answer>, subject: string, timeout_ms: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const cause = new RequestTimedOut(subject, timeout_ms);
      reject(new Unavailable(contextOfSubject(subject), cause.message, { cause }));
    }, timeout_ms);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
