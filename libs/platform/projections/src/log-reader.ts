// Log reader
//
// Reads one stream in order, from a sequence on, for as long as it is asked to.
//
//   R1. Every commit comes once, in order: sequences have no holes, since nothing is ever deleted from the log. A hole,
//       an end before what was already seen, or another incarnation halts the reader with the reason.
//   R2. The consumer is only a means: after a reconnect, a restart of NATS or three missed heartbeats it is made anew,
//       after the last sequence that was handed out. No acknowledgement carries meaning.

import { DeliverPolicy, type ConsumerMessages, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { incarnationOf, streamName, type LogMessage, type StreamIdentity } from '@nexusmon/event-log';
import type { Logger } from '@nexusmon/telemetry';
import { sleep } from './retry.js';

const BUFFERED_MAX = 512;
const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 1_000;
const HEARTBEATS_MISSED_MAX = 3;
const RETRY_MS = 100;

/** The log is not what it was: nothing more may be derived from it before a person has looked. */
export class LogHalted extends Error {
  override readonly name = 'LogHalted';
}

export type StreamStanding = StreamIdentity & Readonly<{ last_sequence: number }>;

export class LogReader {
  private readonly open = new Set<ConsumerMessages>();

  constructor(
    private readonly jetstream: JetStreamClient,
    private readonly manager: JetStreamManager,
    private readonly log: Logger,
  ) {}

  async standing(number: number): Promise<StreamStanding> {
    const name = streamName(number);
    const { created, state } = await this.manager.streams.info(name);
    return { number, name, incarnation: incarnationOf(name, created), last_sequence: state.last_seq };
  }

  /** One message by its sequence; undefined when it is not there. */
  async at(number: number, sequence: number): Promise<LogMessage | undefined> {
    try {
      const found = await this.manager.streams.getMessage(streamName(number), { seq: sequence });
      return found ? { subject: found.subject, seq: found.seq, data: found.data, headers: found.header } : undefined;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
      throw error;
    }
  }

  /** After a reconnect the server may have forgotten the consumers: waiting for heartbeats would take seconds. */
  restart(): void {
    for (const messages of this.open) messages.stop();
  }

  /** Ends when `signal` aborts; throws `LogHalted` (R1) and nothing else. */
  async *read(stream: StreamIdentity, from: number, signal: AbortSignal): AsyncGenerator<LogMessage, void, void> {
    let next = from;
    while (!signal.aborted) {
      try {
        for await (const message of this.attempt(stream, next, signal)) {
          if (message.seq < next) continue;
          if (message.seq > next)
            throw new LogHalted(`${stream.name} has no message ${next}: after ${next - 1} came ${message.seq}`);
          next += 1;
          yield message;
        }
      } catch (error) {
        if (error instanceof LogHalted) throw error;
        if (!signal.aborted) this.log.warn({ msg: 'log reader starts again', stream: stream.name, next, error });
      }
      if (!signal.aborted) await sleep(RETRY_MS, signal);
    }
  }

  private async *attempt(stream: StreamIdentity, from: number, signal: AbortSignal): AsyncGenerator<LogMessage> {
    await this.verify(stream, from);
    const consumer = await this.jetstream.consumers.get(stream.name, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
    });
    const messages = await consumer.consume({
      max_messages: BUFFERED_MAX,
      expires: EXPIRES_MS,
      idle_heartbeat: HEARTBEAT_MS,
    });
    const stop = () => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    // Aborted while the consumer was being made: an event that has passed calls nobody.
    if (signal.aborted) stop();
    this.open.add(messages);
    void this.watch(messages);
    try {
      for await (const message of messages) yield message;
    } finally {
      signal.removeEventListener('abort', stop);
      this.open.delete(messages);
      messages.stop();
    }
  }

  private async verify(stream: StreamIdentity, from: number): Promise<void> {
    const { incarnation, last_sequence } = await this.standing(stream.number);
    if (incarnation !== stream.incarnation) throw new LogHalted(`${stream.name} was made anew`);
    if (last_sequence < from - 1)
      throw new LogHalted(`${stream.name} ends at ${last_sequence}, and ${from - 1} was already read`);
  }

  private async watch(messages: ConsumerMessages): Promise<void> {
    for await (const notice of messages.status()) {
      const missed = notice.type === 'heartbeats_missed' && notice.count >= HEARTBEATS_MISSED_MAX;
      if (missed || notice.type === 'consumer_not_found' || notice.type === 'stream_not_found') messages.stop();
    }
  }
}
