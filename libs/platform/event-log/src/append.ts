// An append that always ends knowing what happened, or says that nobody knows.
//
//   A1. Every append carries the sequence that its decision was made on.
//   A2. When the answer is missing, the leader is asked for the first message of the subject after that sequence: ours
//       means done, another's means conflict, none means that the same bytes are sent again with the same expectation.
//       The last message would not do: another commit may follow ours.
//   A3. A server that says it has stopped writing is not waited for.
//   A4. Past the deadline it is still not known; the caller hears so, and the command's id makes its repeat harmless.

import { setTimeout as pause } from 'node:timers/promises';
import { ConnectionLost, NoResponders, RequestTimedOut } from '@nexusmon/messaging';
import type { MsgHdrs } from '@nats-io/nats-core';
import { HEADER, type LogMessage } from './commit.js';
import { LogCorrupted, LogUnavailable } from './errors.js';
import type { Appended, EventStream } from './event-stream.js';

const APPEND_TIMEOUT_MS = 1_000;
const PAUSE_MIN_MS = 10;
const PAUSE_MAX_MS = 250;

export type Proposal = Readonly<{ subject: string; expected: number; headers: MsgHdrs; body: Uint8Array }>;

/** Whether an error of a request says only that no answer came. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof RequestTimedOut || error instanceof ConnectionLost || error instanceof NoResponders;

/** Runs a read until it is answered, or throws `LogUnavailable` past the deadline. */
export const untilAnswered = async <T>(read: () => Promise<T>, deadline_ms: number): Promise<T> => {
  for (let pause_ms = PAUSE_MIN_MS; ; pause_ms = Math.min(pause_ms * 2, PAUSE_MAX_MS)) {
    try {
      return await read();
    } catch (cause) {
      if (!isUnanswered(cause)) throw cause;
      if (performance.now() + pause_ms > deadline_ms) throw new LogUnavailable('it does not answer', { cause });
      await pause(pause_ms);
    }
  }
};

const isOurs = (found: LogMessage, { headers, body }: Proposal): boolean =>
  found.headers?.get(HEADER.commands) === headers.get(HEADER.commands) && Buffer.compare(found.data, body) === 0;

export type AppendPorts = Readonly<{
  /** Awaited before every try: whether the log may be written can change between them. */
  ready: () => Promise<void>;
  /** Why the server writes nothing, as it says itself. */
  stalled: () => Promise<string | undefined>;
}>;

export const append = async (
  stream: EventStream,
  proposal: Proposal,
  deadline_ms: number,
  { ready, stalled }: AppendPorts,
): Promise<Appended> => {
  const { subject, expected, headers, body } = proposal;
  for (let pause_ms = PAUSE_MIN_MS; ; pause_ms = Math.min(pause_ms * 2, PAUSE_MAX_MS)) {
    await ready();
    const left_ms = deadline_ms - performance.now();
    if (left_ms <= 0) throw new LogUnavailable('an append was not answered in time');
    let [refused, silent] = [false, false];
    try {
      const appended = await stream.append(subject, headers, body, Math.min(APPEND_TIMEOUT_MS, left_ms));
      if (appended.kind === 'appended') return appended;
      refused = true;
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      silent = error instanceof RequestTimedOut;
    }
    // A conflict may be with our own earlier try, so both ways lead here (A2).
    const found = await untilAnswered(() => stream.next(subject, expected + 1), deadline_ms);
    if (found) return isOurs(found, proposal) ? { kind: 'appended', sequence: found.seq } : { kind: 'conflict' };
    const reason = silent ? await stalled() : undefined;
    if (reason !== undefined) throw new LogUnavailable(reason);
    if (refused && pause_ms === PAUSE_MAX_MS) await mustHold(stream, proposal, deadline_ms);
    await pause(pause_ms);
  }
};

/** Refused, with nothing after what was expected: what was expected is not there any more. A young leader gets time. */
const mustHold = async (stream: EventStream, { subject, expected }: Proposal, deadline_ms: number): Promise<void> => {
  const last = await untilAnswered(() => stream.last(subject), deadline_ms);
  if ((last?.seq ?? 0) < expected)
    throw new LogCorrupted(`${subject} ended at ${expected} and now ends at ${last?.seq ?? 0}`);
};
