// The whole surface as one list: what the gateway serves is what /openapi.json describes and the client is made from.

import type { Scope } from '@nexusmon/access-contract';
import type { AccessLists } from '../access/access.js';
import type { ApiTokens } from '../access/api-tokens.js';
import type { Sessions } from '../access/sessions.js';
import type { Health } from '../health.js';
import type { CommandsInFlight } from '../http/commands.js';
import { makeOpenApi } from '../http/openapi.js';
import type { Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import type { EventStreams } from '../stream/event-streams.js';
import { approvalRoutes } from './approval.routes.js';
import { authRoutes } from './auth.routes.js';
import { withReference } from './docs.routes.js';
import { eventRoutes } from './event.routes.js';
import { evolutionRoutes, type KeyOf } from './evolution.routes.js';
import { inspectionRoutes } from './inspection.routes.js';
import { missionRoutes } from './mission.routes.js';
import { olderRoutes } from './older.routes.js';
import { projectionRoutes } from './projection.routes.js';
import { systemRoutes } from './system.routes.js';
import { tokenRoutes } from './token.routes.js';
import { uiRoutes } from './ui.routes.js';
import type { UploadAdmission } from './upload-limits.js';
import { vaultRoutes } from './vault.routes.js';

/** What the handlers work with. */
export type SurfaceParts = Readonly<{
  sessions: Sessions;
  tokens: ApiTokens;
  lists: AccessLists;
  services: Services;
  in_flight: CommandsInFlight;
  streams: EventStreams;
  health: Health;
  keyOf: KeyOf;
  uploads: UploadAdmission;
}>;

export const surfaceRoutes = (parts: SurfaceParts, version: string): readonly Route[] => {
  const { sessions, tokens, lists, services, in_flight, streams, health, keyOf, uploads } = parts;
  const all: readonly Route[] = withReference(
    [
      ...authRoutes(sessions, lists.sessions),
      ...tokenRoutes(tokens, lists.tokens, () => scopesOf(all)),
      ...missionRoutes(services, in_flight),
      ...inspectionRoutes(services),
      ...olderRoutes(services, in_flight),
      ...approvalRoutes(services, in_flight),
      ...evolutionRoutes(services, in_flight, keyOf),
      ...vaultRoutes({ services, in_flight, keyOf, uploads }),
      ...eventRoutes(services, streams),
      ...systemRoutes(services, health),
      ...uiRoutes(services, health),
      ...projectionRoutes(services, in_flight),
    ],
    version,
  );
  return all;
};

/** The scopes that some route asks for. */
export const scopesOf = (routes: readonly Route[]): ReadonlySet<Scope> =>
  new Set(routes.flatMap(({ policy }) => (policy.access === 'scope' ? [policy.scope].flat() : [])));

/** The description without a gateway: it calls no handler, so that there is nothing for handlers to work with. */
export const describeSurface = (version: string) =>
  makeOpenApi(surfaceRoutes({ lists: {} } as SurfaceParts, version), version);
