// Stage
//
// The stage of the whole organism, as events. What it is decided on is a reckoning: the totals after one event that
// changed them. Reckonings are numbered in the order of the events.
//
//   S1. The stage changes when the count of a reckoning says so, upwards or back, and only then.
//   S2. A reckoning that is not newer than the one that last changed the stage adds nothing: repeats and late ones are
//       harmless.
//   S3. A reckoning that is none (no number, a negative count, no order) is refused.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { Stage, StageEvent } from '@nexusmon/evolution-contract';
import { FIRST_PROGRESS_POLICY, type ProgressPolicy } from './policy.js';
import { stageAt } from './progress.js';

type StageChanged = Extract<StageEvent, { type: 'StageChanged' }>['data'];

export type Reckoning = Omit<StageChanged, 'from' | 'to'>;
export type StageCommand = Readonly<{
  type: 'TakeReckoning';
  actor: string;
  time: string;
  data: Reckoning;
}>;
/** `revision`: of the reckoning that last changed it. */
export type StageState = Readonly<{ stage: Stage; revision: number }>;
export type StageRejection = Readonly<{ code: 'reckoning-invalid' }>;
type StageDecision = Decision<StageEvent, StageRejection>;

const isReckoning = ({ count, xp, verified_missions, revision }: Reckoning): boolean =>
  Number.isFinite(count) &&
  count >= 0 &&
  Number.isFinite(xp) &&
  Number.isSafeInteger(verified_missions) &&
  verified_missions >= 0 &&
  Number.isSafeInteger(revision) &&
  revision > 0;

const decide =
  (policy: ProgressPolicy) =>
  ({ actor, time, data }: StageCommand, { stage, revision }: StageState): StageDecision => {
    if (!isReckoning(data)) return reject({ code: 'reckoning-invalid' });
    if (data.revision <= revision) return nothing;
    const to = stageAt(data.count, policy);
    if (to === stage) return nothing;
    return accept({ type: 'StageChanged', actor, time, data: { from: stage, to, ...data } });
  };

export const stageDecider = (
  policy: ProgressPolicy = FIRST_PROGRESS_POLICY,
): Decider<StageState, StageCommand, StageEvent, StageRejection> => ({
  initial: { stage: 'DORMANT', revision: 0 },
  decide: decide(policy),
  evolve: (_, { data: { to, revision } }) => ({ stage: to, revision }),
});
