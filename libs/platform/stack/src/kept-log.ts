// The log in a backup: read once from one end to the other, and put back message by message.
//
//   L1. What is read is checked as a scrub would: a log with a hole or a broken chain is no backup of anything.
//   L2. What is put back is what was there: subject, headers and bytes, at the same sequence, under the expectation
//       that it was written with. It is read again afterwards and compared.
//   L3. The stream that it is put into is a new one, so it has another incarnation: positions of the old one are
//       refused, and never taken for places in this one.

import { createHash } from 'node:crypto';
import { jetstreamManager, type JsMsg } from '@nats-io/jetstream';
import { headers as newHeaders, type MsgHdrs, type NatsConnection } from '@nats-io/nats-core';
import { Chain, EventStream, incarnationOf, readStream, streamName } from '@nexusmon/event-log';
import { RequestMux } from '@nexusmon/messaging';
import { linesOf, logFile, PartWriter, type StreamPart } from './backup-folder.js';
import { StartFault } from './fault.js';

const INBOX = '_INBOX_admin';
const IN_FLIGHT_MAX = 128;
const BUFFERED_MAX = 1_000;
const APPEND_TIMEOUT_MS = 30_000;
const TOLD_EVERY = 500;

type Told = (text: string) => void;

type KeptMessage = Readonly<{
  sequence: number;
  time: string;
  subject: string;
  headers: readonly (readonly [name: string, value: string])[];
  /** Base64. */
  data: string;
}>;

const headersIn = (headers: MsgHdrs | undefined): [string, string][] =>
  [...(headers ?? [])].flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));

const kept = (message: JsMsg): KeptMessage => ({
  sequence: message.seq,
  time: message.time.toISOString(),
  subject: message.subject,
  headers: headersIn(message.headers),
  data: Buffer.from(message.data).toString('base64'),
});

/** All of a message but the time at which the server took it, which is the server's and not the log's. */
const contentOf = ({ sequence, subject, headers, data }: KeptMessage): string =>
  JSON.stringify([sequence, subject, headers, data]);

const keepStream = async (
  connection: NatsConnection,
  mux: RequestMux,
  number: number,
  folder: string,
  onProgress: Told,
): Promise<StreamPart> => {
  const name = streamName(number);
  const leader = new EventStream(mux, number, name);
  const { created, state } = await leader.info();
  const chain = new Chain(leader);
  const content = createHash('sha256');
  const part = new PartWriter(folder, logFile(name));
  let reached = 0;
  const reading = { connection, leader, from: 1, to: state.last_seq, buffered_max: BUFFERED_MAX };
  for await (const message of readStream(reading)) {
    const fault = message.seq === reached + 1 ? await chain.follow(message) : `${name} has no message ${reached + 1}`;
    if (fault !== undefined)
      throw new StartFault(`the log is damaged, and a backup of it would be no backup: ${fault}`);
    reached = message.seq;
    const line = kept(message);
    content.update(contentOf(line));
    part.write(line);
    if (reached % TOLD_EVERY === 0) onProgress(`${name}: ${reached} of ${state.last_seq} commits`);
  }
  if (reached !== state.last_seq) throw new StartFault(`${name} has no message ${reached + 1}`);
  return {
    ...part.end(),
    ...{ number, name, created, incarnation: incarnationOf(name, created), last_sequence: reached },
    content_sha256: content.digest('hex'),
  };
};

/** L1 */
export const keepLog = async (connection: NatsConnection, folder: string, onProgress: Told): Promise<StreamPart[]> => {
  const mux = new RequestMux(connection, INBOX);
  const count = await countStreams(connection);
  const parts: StreamPart[] = [];
  for (let number = 0; number < count; number += 1)
    parts.push(await keepStream(connection, mux, number, folder, onProgress));
  return parts;
};

const countStreams = async (connection: NatsConnection): Promise<number> => {
  const manager = await jetstreamManager(connection);
  const names = new Set<string>();
  for await (const name of manager.streams.names()) names.add(name);
  let count = 0;
  while (names.has(streamName(count))) count += 1;
  if (count === 0) throw new StartFault('there is no event stream: nothing has been started on this folder yet');
  return count;
};

const headersOf = ({ headers }: KeptMessage): MsgHdrs => {
  const made = newHeaders();
  for (const [name, value] of headers) made.append(name, value);
  return made;
};

const putBackStream = async (
  connection: NatsConnection,
  mux: RequestMux,
  folder: string,
  { file, number, name, last_sequence, content_sha256 }: StreamPart,
  onProgress: Told,
): Promise<string> => {
  const stream = new EventStream(mux, number, name);
  const { created, state } = await stream.info();
  if (state.last_seq !== 0) throw new StartFault(`${name} is not empty: a log is put back into a new one only`);
  const under_way: Promise<void>[] = [];
  for await (const line of linesOf(folder, file)) {
    const message = line as KeptMessage;
    under_way.push(append(stream, message));
    if (under_way.length < IN_FLIGHT_MAX) continue;
    await Promise.all(under_way.splice(0));
    onProgress(`${name}: ${message.sequence} of ${last_sequence} commits`);
  }
  await Promise.all(under_way);
  const content = createHash('sha256');
  const reading = { connection, leader: stream, from: 1, to: last_sequence, buffered_max: BUFFERED_MAX };
  for await (const message of readStream(reading)) content.update(contentOf(kept(message)));
  if (content.digest('hex') !== content_sha256)
    throw new StartFault(`${name} is not what was put back: the store has changed it`);
  return incarnationOf(name, created);
};

const append = async (stream: EventStream, message: KeptMessage): Promise<void> => {
  const data = Buffer.from(message.data, 'base64');
  const appended = await stream.append(message.subject, headersOf(message), data, APPEND_TIMEOUT_MS);
  if (appended.kind === 'conflict' || appended.sequence !== message.sequence)
    throw new StartFault(`message ${message.sequence} of ${stream.name} does not follow those before it`);
};

/** L2, L3. The incarnation of each stream as it is now. */
export const putLogBack = async (
  connection: NatsConnection,
  folder: string,
  parts: readonly StreamPart[],
  onProgress: Told,
): Promise<readonly string[]> => {
  const mux = new RequestMux(connection, INBOX);
  const incarnations: string[] = [];
  for (const part of parts) incarnations.push(await putBackStream(connection, mux, folder, part, onProgress));
  return incarnations;
};
