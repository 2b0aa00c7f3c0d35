// The events of one mission, from its first to its last.
//
//   F1. Each event once and in order, over however many connections: the list from the log first, then the stream from
//       where the list ended, and after a loss from the last id.
//   F2. A connection that is lost is opened again, ever later; what the gateway refuses is not asked again.

import { ApiProblem, readEvents, Unreachable, type Event, type ServerEvent, type StreamPlace } from '@nexusmon/client';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import type { Gateway } from './gateway.js';

const PAGE = 200;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 15_000;
const FIRST_FAULT_STATUS = 500;

/** `nexusmon.mission.TaskCompleted.v1` is called TaskCompleted. */
export const eventName = ({ type }: Event): string => type.split('.')[2] ?? type;

const ENDINGS = ['MissionCompleted', 'MissionFailed', 'MissionCancelled'];
export const isEnding = (event: Event): boolean => ENDINGS.includes(eventName(event));

export type FollowOptions = Readonly<{
  gateway: Gateway;
  mission_id: string;
  /** Ends the following; not a fault. */
  until: AbortSignal;
  onLost: (why: string) => void;
}>;

const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable || (error instanceof ApiProblem && error.document.status >= FIRST_FAULT_STATUS);

async function* recorded({ gateway, mission_id }: FollowOptions): AsyncGenerator<Event, void, void> {
  let cursor: string | undefined;
  do {
    const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const { body } = await gateway.call('GET /v1/engine/missions/{mission_id}/events', { path: { mission_id }, query });
    yield* body.data;
    cursor = body.next_cursor ?? undefined;
  } while (cursor !== undefined);
}

async function* connected(options: FollowOptions, place: StreamPlace): AsyncGenerator<ServerEvent, void, void> {
  const { gateway, mission_id, until } = options;
  const response = await gateway.open('GET /v1/events', {
    query: { mission_id },
    headers: { 'Last-Event-ID': place.id },
    signal: until,
  });
  if (response.body) yield* readEvents(readable(response.body, until), place);
}

/** Ends when nobody wants more, or when the connection is cut. */
async function* readable(body: ReadableStream<Uint8Array>, until: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (error) {
    // Undici's only sign of a connection that was cut is a TypeError.
    if (!until.aborted && !(error instanceof TypeError)) throw error;
  }
}

const eventOf = ({ event, data }: ServerEvent): Event | undefined => {
  if (event === 'message') return JSON.parse(data) as Event;
  if (event !== 'reset') return undefined;
  throw new CliFault({
    code: 'position-unknown',
    what: 'the log is another one than it was',
    why: 'the gateway does not know the place where the events were left',
    next: 'nexusmon mission list',
    exit: EXIT.failure,
  });
};

async function* streamed(options: FollowOptions, from: string): AsyncGenerator<Event, void, void> {
  const { until, onLost } = options;
  const place: StreamPlace = { id: from, retry_ms: RETRY_MS };
  let losses = 0;
  while (!until.aborted) {
    try {
      for await (const read of connected(options, place)) {
        losses = 0;
        const event = eventOf(read);
        if (event) yield event;
      }
      if (!until.aborted) onLost('the stream ended');
    } catch (error) {
      if (until.aborted) return;
      if (!isPassing(error)) throw error;
      onLost(error instanceof Error ? error.message : String(error));
    }
    if (until.aborted) return;
    await waited(Math.min(place.retry_ms * 2 ** losses++, RETRY_MS_MAX), until);
  }
}

const waited = async (ms: number, until: AbortSignal): Promise<void> => {
  try {
    await pause(ms, undefined, { signal: until });
  } catch (error) {
    if (!until.aborted) throw error;
  }
};

/** Events behind a position, as they come; ends after the event that ends the mission. */
export async function* streamMission(options: FollowOptions, from: string): AsyncGenerator<Event, void, void> {
  for await (const event of streamed(options, from)) {
    yield event;
    if (isEnding(event)) return;
  }
}

/** All events; ends after the one that ends the mission. */
export async function* followMission(options: FollowOptions): AsyncGenerator<Event, void, void> {
  let last: Event | undefined;
  for await (const event of recorded(options)) {
    yield (last = event);
    if (isEnding(event)) return;
  }
  yield* streamMission(options, last?.position ?? '');
}
