import { decodePosition, type PositionVector } from '@nexusmon/event-log';
import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import { mission_id, pageQuery } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { field, problem } from '../http/problem.js';
import { defineRoute, type Answer, type Call, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { singleHeader } from '../http/validation.js';
import { eventDocument, eventFilter, eventFilterQuery, type EventFilter } from '../stream/event-filter.js';
import type { EventStreams } from '../stream/event-streams.js';
import { pageOf } from './conventions.js';

const tag = 'Events';
const params = z.object({ mission_id });
const POSITION_LENGTH_MAX = 2_048;

const position = z.string().min(1).max(POSITION_LENGTH_MAX);
const fromQuery = { from: position.optional().describe('`start`, or the position to resume behind. Default: now.') };

const placeOf = (text: string, name: string): PositionVector => {
  const vector = decodePosition(text);
  if (vector) return vector;
  throw problem('malformed-position', {
    detail: `${name} is not a position`,
    errors: [field(name, 'not a position')],
  });
};

/** A client that comes back says where it was; that counts more than where it once began. */
const startOf = (
  call: Readonly<{ request: Call<object, object, object>['request']; query: { from?: string | undefined } }>,
) => {
  const last = singleHeader(call.request, 'Last-Event-ID');
  if (last !== undefined && last !== '') return placeOf(last, 'Last-Event-ID');
  const { from } = call.query;
  return from === undefined || from === 'start' ? from : placeOf(from, 'from');
};

type StreamCall = Call<object, { from?: string | undefined }, undefined>;

const openStream = (streams: EventStreams, call: StreamCall, wanted: EventFilter): Answer =>
  streams.open({ request: call.request, reply: call.reply, principal: call.principal, wanted, from: startOf(call) });

const wantsStream = (accept: string | undefined): boolean => /(^|[\s,])text\/event-stream\b/i.test(accept ?? '');

const allRoute = (streams: EventStreams): Route =>
  defineRoute({
    method: 'GET',
    path: '/v1/events',
    summary: 'Follow the log as server-sent events',
    tag,
    policy: { access: 'scope', scope: ['missions:read', 'vault:read', 'admin'] },
    query: z.object({ ...eventFilterQuery, ...fromQuery }),
    headers: ['Last-Event-ID'],
    responses: {
      200: {
        description:
          'One event of the log in each data line; `reset` when the position is of another log, `dropped` or `closed` at the end.',
        schema: eventDocument,
        media_type: 'text/event-stream',
      },
    },
    problems: ['malformed-position'],
    handler: (call) => openStream(streams, call, eventFilter(call.query)),
  });

const missionRoute = (services: Services, streams: EventStreams): Route =>
  defineRoute({
    method: 'GET',
    path: '/v1/engine/missions/{mission_id}/events',
    summary: 'The events of a mission: a list, or with Accept: text/event-stream a stream',
    tag,
    policy: { access: 'scope', scope: 'missions:read' },
    params,
    query: z.object({ ...pageQuery, type: eventFilterQuery.type, ...fromQuery }),
    headers: ['Last-Event-ID'],
    responses: { 200: { description: 'Oldest first; next_cursor is a position.', schema: pageOf(eventDocument) } },
    problems: ['malformed-position', 'malformed-cursor'],
    handler: async (call) => {
      const { mission_id } = call.params;
      // A mission that is not there is a 404, not an empty list.
      await services.ask(MISSION_SUBJECTS.get, { mission_id });
      const wanted = eventFilter({ type: call.query.type, mission_id });
      if (wantsStream(call.request.headers.accept)) return openStream(streams, call, wanted);
      const { cursor, limit } = call.query;
      const from = cursor === undefined ? undefined : decodePosition(cursor);
      if (cursor !== undefined && !from)
        throw problem('malformed-cursor', {
          detail: 'cursor is not one of ours',
          errors: [field('cursor', 'not a cursor')],
        });
      const { principal } = call;
      const { events, next } = await streams.list({ mission_id, principal, wanted, from, limit });
      return { status: 200, body: { data: events, next_cursor: next ?? null } };
    },
  });

export const eventRoutes = (services: Services, streams: EventStreams): Route[] => [
  allRoute(streams),
  missionRoute(services, streams),
];
