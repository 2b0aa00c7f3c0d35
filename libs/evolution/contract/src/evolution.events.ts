import {
  actor,
  firstVersion,
  mission_id,
  sealed,
  text,
  type Catalogue,
  type EventsOf,
} from '@nexusmon/shared-contract';
import { z } from 'zod';
import { capability, stage } from './progress.js';

/**
 * The organism has come to another stage, upwards or back. It carries what that was decided on: the reckoning up to the
 * event at `position`, which was about `mission_id`; `revision` numbers the reckonings.
 */
export const stageEvents = {
  StageChanged: firstVersion(
    z.strictObject({
      from: stage,
      to: stage,
      count: z.number(),
      xp: z.number(),
      verified_missions: z.int(),
      revision: z.int(),
      mission_id,
      position: z.string(),
    }),
  ),
} satisfies Catalogue;
export type StageEvent = EventsOf<typeof stageEvents>;

export const REASON_LENGTH_MAX = 4_000;
const reason = sealed(text(1, REASON_LENGTH_MAX));

export const grantEvents = {
  CapabilityGranted: firstVersion(z.strictObject({ capability, granted_by: actor, reason })),
  CapabilityRevoked: firstVersion(z.strictObject({ capability, revoked_by: actor, reason })),
} satisfies Catalogue;
export type GrantEvent = EventsOf<typeof grantEvents>;
