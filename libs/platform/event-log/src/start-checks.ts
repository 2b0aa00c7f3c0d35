// What must be true of the streams before anything is written to them.
//
//   V1. The configuration is read back, never assumed: a stream that may lose, overwrite or hide messages is not a log.
//   V2. The server must say itself that it syncs before it acknowledges; without an answer nothing is written.
//   V3. What is stored elsewhere about the log (checkpoints) must agree with it: the server does not report damage.

import type { NatsConnection } from '@nats-io/nats-core';
import { StoredCommit } from './commit.js';
import type { EventStream, StreamInfo } from './event-stream.js';
import { streamName, streamSubjects } from './names.js';
import { incarnationOf } from './position.js';

/** The larger of commit and carried state, sealed, with headers and room to spare; below the server's 1 MiB. */
const MESSAGE_BYTES_MAX = 1024 * 1024;

/** How an event stream is made. Whoever administers the server creates it with this and never changes it. */
export const eventStreamConfig = (number: number, count: number, replicas = 1) =>
  ({
    name: streamName(number),
    subjects: streamSubjects(number, count),
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    num_replicas: replicas,
    max_age: 0,
    max_bytes: -1,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_msg_size: MESSAGE_BYTES_MAX,
    deny_delete: true,
    deny_purge: true,
    allow_direct: false,
    allow_rollup_hdrs: false,
    allow_msg_ttl: false,
    allow_msg_schedules: false,
    mirror_direct: false,
  }) as const;

/** Of the configuration these are checked; absent means the server's default, which is off, zero or unlimited. */
const CHECKED = [
  ['retention', 'limits'],
  ['storage', 'file'],
  ['discard', 'new'],
  ['deny_delete', true],
  ['deny_purge', true],
  ['allow_direct', false],
  ['allow_rollup_hdrs', false],
  ['allow_msg_ttl', false],
  ['allow_msg_schedules', false],
  ['allow_msg_counter', false],
  ['max_age', 0],
  ['max_bytes', -1],
  ['max_msgs', -1],
  ['max_msgs_per_subject', -1],
  ['sealed', false],
  ['no_ack', false],
] as const;

/** What is wrong with a stream's configuration; empty when nothing is (V1). */
export const configFaults = ({ config }: StreamInfo, number: number, count: number): string[] => {
  const name = streamName(number);
  const faults = CHECKED.flatMap(([field, wanted]) => {
    const found = config[field] ?? (wanted === -1 ? -1 : wanted === 0 ? 0 : false);
    return found === wanted
      ? []
      : [`${name} has ${field} ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`];
  });
  const subjects = Array.isArray(config['subjects']) ? config['subjects'].toSorted() : [];
  if (JSON.stringify(subjects) !== JSON.stringify(streamSubjects(number, count).toSorted()))
    faults.push(
      `${name} has subjects ${JSON.stringify(subjects)}, which are not those of stream ${number} of ${count}`,
    );
  const persisted = config['persist_mode'] ?? 'default';
  if (persisted !== 'default')
    faults.push(`${name} has persist_mode ${JSON.stringify(persisted)} instead of "default"`);
  for (const field of ['mirror', 'sources', 'republish', 'subject_transform'])
    if (config[field] !== undefined && config[field] !== null) faults.push(`${name} has ${field}`);
  return faults;
};

/** Messages are never deleted from a log, so a hole is damage. */
export const stateFaults = ({ state }: StreamInfo, number: number): string[] => {
  const name = streamName(number);
  if ((state.num_deleted ?? 0) > 0) return [`${name} has ${state.num_deleted} holes`];
  if (state.messages > 0 && state.first_seq !== 1) return [`${name} begins at ${state.first_seq}`];
  if (state.messages > 0 && state.messages !== state.last_seq)
    return [`${name} has ${state.messages} messages up to ${state.last_seq}`];
  return [];
};

/** Where the server tells whether it syncs before it acknowledges: its monitor, or its system account. */
export type Monitor = Readonly<{ monitor_url: string } | { system: NatsConnection; server_id: string }>;

const MONITOR_TIMEOUT_MS = 2_000;
type Varz = Readonly<{ jetstream?: { config?: { sync_always?: boolean } } }>;

const readVarz = async (monitor: Monitor): Promise<Varz> => {
  if ('system' in monitor) {
    const subject = `$SYS.REQ.SERVER.${monitor.server_id}.VARZ`;
    const reply = await monitor.system.request(subject, '', { timeout: MONITOR_TIMEOUT_MS });
    return reply.json<{ data: Varz }>().data;
  }
  const url = new URL('/varz', monitor.monitor_url);
  const response = await fetch(url, { signal: AbortSignal.timeout(MONITOR_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url.href} answers ${response.status}`);
  return (await response.json()) as Varz;
};

/** Why appends might not be durable; empty when the server says that they are (V2). */
export const durabilityFaults = async (monitor: Monitor | undefined): Promise<string[]> => {
  if (!monitor)
    return [
      'neither the monitor nor the system account of the NATS server is known, so nobody can say whether it syncs',
    ];
  try {
    const varz = await readVarz(monitor);
    return varz.jetstream?.config?.sync_always === true
      ? []
      : ['the NATS server acknowledges before it has synced: sync_interval must be always'];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [`the NATS server does not say whether it syncs: ${reason}`];
  }
};

/** How far somebody has read, and what they saw there. `hash` is that of the commit (`StoredCommit.hash`). */
export type Checkpoint = Readonly<{
  name: string;
  stream: string;
  incarnation: string;
  sequence: number;
  hash: string;
}>;

/** Where the log disagrees with what was stored about it (V3). */
export const checkpointFaults = async (
  checkpoints: readonly Checkpoint[],
  streams: readonly EventStream[],
): Promise<string[]> => {
  const checked = streams.map(async (stream) => {
    const own = checkpoints.filter((checkpoint) => checkpoint.stream === stream.name);
    if (own.length === 0) return [];
    const info = await stream.info();
    const faults = await Promise.all(own.map((checkpoint) => checkpointFault(checkpoint, stream, info)));
    return faults.flatMap((fault) => fault ?? []);
  });
  const unknown = checkpoints
    .filter(({ stream }) => !streams.some(({ name }) => name === stream))
    .map(({ name, stream }) => `checkpoint ${name} is of stream ${stream}, which this log does not have`);
  return [...unknown, ...(await Promise.all(checked)).flat()];
};

const checkpointFault = async (
  { name, incarnation, sequence, hash }: Checkpoint,
  stream: EventStream,
  info: StreamInfo,
): Promise<string | undefined> => {
  if (incarnation !== incarnationOf(stream.name, info.created))
    return `${stream.name} is not the stream that checkpoint ${name} has read: it was made ${info.created}`;
  if (sequence === 0) return undefined;
  if (info.state.last_seq < sequence)
    return `${stream.name} ends at ${info.state.last_seq}, and checkpoint ${name} has read ${sequence}`;
  const message = await stream.at(sequence);
  if (!message) return `${stream.name} has no message ${sequence}, where checkpoint ${name} stands`;
  const found = new StoredCommit(message).hash;
  return found === hash
    ? undefined
    : `message ${sequence} of ${stream.name} is not the one that checkpoint ${name} has read`;
};
