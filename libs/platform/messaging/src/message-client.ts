import { MsgHdrsImpl, type MsgHdrs } from '@nats-io/nats-core';
import type { Reply } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import type { z } from 'zod';
import { contextOfSubject } from './handle.js';
import { readReply, type JsonText } from './reply-text.js';
import { ConnectionLost, NoResponders, RequestTimedOut, type RequestMux } from './request-mux.js';
import { Unavailable } from './unavailable.js';

export const REQUEST_TIMEOUT_MS = 5_000;
export const TRACEPARENT = 'traceparent';

const traceHeaders = (): MsgHdrs | undefined => {
  const header = traceparent();
  if (header === undefined) return undefined;
  return MsgHdrsImpl.fromRecord({ [TRACEPARENT]: [header] });
};

export type MessageOptions<Body> = Readonly<{ timeout_ms?: number; reply?: z.ZodType<Reply<Body>> }>;

/** Requests to other contexts, as the user of one. Injectable: the class is its own token. */
export class MessageClient {
  constructor(private readonly mux: RequestMux) {}

  /**
   * Throws `Unavailable` when nobody answers. A reply is checked only when a schema is given: services of one release
   * trust each other, and nothing is validated twice on the hot path.
   */
  async request<Body = unknown>(
    subject: string,
    body: unknown,
    { timeout_ms = REQUEST_TIMEOUT_MS, reply: replySchema }: MessageOptions<Body> = {},
  ): Promise<Reply<Body>> {
    const reply = await this.raw(subject, JSON.stringify(body), timeout_ms);
    return replySchema ? replySchema.parse(reply) : (reply as Reply<Body>);
  }

  /** The same with a payload that is already text, and a reply as it came. */
  async raw(subject: string, payload: string, timeout_ms = REQUEST_TIMEOUT_MS): Promise<unknown> {
    return JSON.parse((await this.bytes(subject, payload, timeout_ms)).toString('utf8'));
  }

  /** For whoever hands a body on without looking into it. */
  async passing(subject: string, body: unknown, timeout_ms = REQUEST_TIMEOUT_MS): Promise<Reply<JsonText>> {
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
