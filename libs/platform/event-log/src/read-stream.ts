// A stream read from one end to the other, as it lies in the store.
//
//   S1. It ends: a message that the server cannot read any more is passed over by it, or stops it without a word. Who
//       hears nothing for a while asks for the next one itself.

import { DeliverPolicy, jetstream, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import type { EventStream } from './event-stream.js';

const SILENCE_MS = 1_000;

export type ReadOptions = Readonly<{
  /** Of a user who may make consumers. */
  connection: NatsConnection;
  leader: EventStream;
  /** The first and the last sequence that are wanted. */
  from: number;
  to: number;
  /** How many messages may be under way. */
  buffered_max: number;
  signal?: AbortSignal | undefined;
}>;

/** Every message that there is from the first to the last, in order. What is missing is for the caller to notice. */
export async function* readStream(options: ReadOptions): AsyncGenerator<JsMsg, void, void> {
  const { connection, leader, from, to, buffered_max, signal } = options;
  if (from > to) return;
  const consumer = await jetstream(connection).consumers.get(leader.name, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
  });
  const messages = await consumer.consume({ max_messages: buffered_max });
  const stop = () => messages.stop();
  let [reached, seen] = [from - 1, from - 1];
  let failure: Error | undefined;
  const look = async (): Promise<void> => {
    try {
      if (reached === seen && (await leader.at(reached + 1)) === undefined && reached === seen) stop();
      seen = reached;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      stop();
    }
  };
  const timer = setInterval(() => void look(), SILENCE_MS);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const message of messages) {
      reached = message.seq;
      yield message;
      if (reached >= to || signal?.aborted) return;
    }
    if (failure) throw failure;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', stop);
    stop();
  }
}
