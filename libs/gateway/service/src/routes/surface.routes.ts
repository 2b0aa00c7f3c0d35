// The whole surface as one list: what the gateway serves is what /openapi.json describes and the client is made from.

import type { Sessions } from '../access/sessions.js';
import type { Health } from '../health.js';
import type { CommandsInFlight } from '../http/commands.js';
import { makeOpenApi } from '../http/openapi.js';
import type { Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import type { EventStreams } from '../stream/event-streams.js';
import { approvalRoutes } from './approval.routes.js';
import { authRoutes, type ListSessions } from './auth.routes.js';
import { withReference } from './docs.routes.js';
import { eventRoutes } from './event.routes.js';
import { evolutionRoutes, type KeyOf } from './evolution.routes.js';
import { missionRoutes } from './mission.routes.js';
import { projectionRoutes } from './projection.routes.js';
import { systemRoutes } from './system.routes.js';
import { vaultRoutes } from './vault.routes.js';

/** What the handlers work with. */
export type SurfaceParts = Readonly<{
  sessions: Sessions;
  list_sessions: ListSessions;
  services: Services;
  in_flight: CommandsInFlight;
  streams: EventStreams;
  health: Health;
  keyOf: KeyOf;
}>;

export const surfaceRoutes = (parts: SurfaceParts, version: string): readonly Route[] => {
  const { sessions, list_sessions, services, in_flight, streams, health, keyOf } = parts;
  return withReference(
    [
      ...authRoutes(sessions, list_sessions),
      ...missionRoutes(services, in_flight),
      ...approvalRoutes(services, in_flight),
      ...evolutionRoutes(services, in_flight, keyOf),
      ...vaultRoutes(services),
      ...eventRoutes(services, streams),
      ...systemRoutes(services, health),
      ...projectionRoutes(services),
    ],
    version,
  );
};

/** The description without a gateway: it calls no handler, so that there is nothing for handlers to work with. */
export const describeSurface = (version: string) => makeOpenApi(surfaceRoutes({} as SurfaceParts, version), version);
