// The raw requests to one JetStream stream: appends with an expectation, and reads that only the leader answers.

import { headers as newHeaders, Match, type MsgHdrs } from '@nats-io/nats-core';
import type { RequestMux } from '@nexusmon/messaging';
import type { LogMessage } from './commit.js';
import { LogCorrupted, LogUnavailable } from './errors.js';

const READ_TIMEOUT_MS = 2_000;
const NOT_FOUND = 10_037;
/** Wrong last sequence, and wrong last sequence of which the server does not say the right one. */
const CONFLICTS: readonly number[] = [10_071, 10_164];

type ApiError = Readonly<{ code: number; err_code: number; description: string }>;
type Answered<T> = T & Readonly<{ error?: ApiError }>;
type StoredMessage = Readonly<{ subject: string; seq: number; hdrs?: string; data?: string; time: string }>;

export type Appended = Readonly<{ kind: 'appended'; sequence: number }> | Readonly<{ kind: 'conflict' }>;

export type StreamInfo = Readonly<{
  config: Readonly<Record<string, unknown>>;
  created: string;
  state: Readonly<{ messages: number; first_seq: number; last_seq: number; num_deleted?: number }>;
}>;

export class EventStream {
  constructor(
    private readonly mux: RequestMux,
    readonly number: number,
    readonly name: string,
  ) {}

  /** Undefined when nothing was ever written on the subject. */
  last(subject: string): Promise<LogMessage | undefined> {
    return this.get({ last_by_subj: subject });
  }

  at(sequence: number): Promise<LogMessage | undefined> {
    return this.get({ seq: sequence });
  }

  /** The first message of the subject at or after a sequence. */
  next(subject: string, sequence: number): Promise<LogMessage | undefined> {
    return this.get({ seq: sequence, next_by_subj: subject });
  }

  async info(): Promise<StreamInfo> {
    const reply = await this.mux.request(`$JS.API.STREAM.INFO.${this.name}`, '', { timeout_ms: READ_TIMEOUT_MS });
    const info = parse<Answered<StreamInfo>>(reply.data);
    if (info.error) throw new LogUnavailable(`stream ${this.name}: ${info.error.description}`);
    return info;
  }

  /** Throws what the mux throws when it is not known, or sure, whether anything was written. */
  async append(subject: string, headers: MsgHdrs, body: Uint8Array, timeout_ms: number): Promise<Appended> {
    const reply = await this.mux.request(subject, body, { timeout_ms, headers });
    const ack = parse<Answered<{ stream: string; seq: number; duplicate?: boolean }>>(reply.data);
    if (ack.error && CONFLICTS.includes(ack.error.err_code)) return { kind: 'conflict' };
    if (ack.error) throw new LogUnavailable(`${ack.error.description} (${ack.error.err_code})`);
    if (ack.stream !== this.name || ack.duplicate)
      throw new LogCorrupted(`an append on ${subject} was acknowledged by ${ack.stream} as ${JSON.stringify(ack)}`);
    return { kind: 'appended', sequence: ack.seq };
  }

  private async get(request: Readonly<Record<string, string | number>>): Promise<LogMessage | undefined> {
    const subject = `$JS.API.STREAM.MSG.GET.${this.name}`;
    const reply = await this.mux.request(subject, JSON.stringify(request), { timeout_ms: READ_TIMEOUT_MS });
    const { error, message } = parse<Answered<{ message: StoredMessage }>>(reply.data);
    if (error?.err_code === NOT_FOUND) return undefined;
    if (error) throw new LogUnavailable(`reading ${this.name}: ${error.description} (${error.err_code})`);
    return {
      subject: message.subject,
      seq: message.seq,
      data: Buffer.from(message.data ?? '', 'base64'),
      headers: message.hdrs === undefined ? undefined : parseHeaders(message.hdrs),
    };
  }
}

const parse = <T>(data: Uint8Array): T =>
  JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')) as T;

const parseHeaders = (base64: string): MsgHdrs => {
  const headers = newHeaders();
  for (const line of Buffer.from(base64, 'base64').toString('utf8').split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim(), Match.Exact);
  }
  return headers;
};
