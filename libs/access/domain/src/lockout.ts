// Lockout
//
// What wrong operator keys cost: one count for the address they come from, one for the account they are meant for.
//
//   L1. How long a lock lasts goes by the failures: 1–3 → 30 s, 4–6 → 2 min, 7–9 → 15 min, 10+ → 1 h.
//   L2. Only time makes it less: an hour after the last failure the count begins again. A right key changes nothing.
//   L3. Whatever was compared and wrong counts. Under a lock nothing is compared, the right key neither.
//   L4. What was on its way when a lock began counts, each one; what was sent after its first refusal does not.
//   L5. A lock never ends earlier for what comes after its beginning.

import { accept, reject, secondsAfter, type Decider, type Decision } from '@nexusmon/kernel';
import type { LockoutEvent } from '@nexusmon/access-contract';

type Refused = LockoutEvent['data'];

/** The first refusal under a lock is told this long after its beginning: until then no guesser can know of it. */
export const REFUSAL_DELAY_MS = 250;
const FORGOTTEN_AFTER_SECONDS = 3_600;
const STEPS = [
  { failures_max: 3, seconds: 30 },
  { failures_max: 6, seconds: 120 },
  { failures_max: 9, seconds: 900 },
] as const;
const LAST_STEP_SECONDS = 3_600;

export type LockoutCommand = Readonly<{
  type: 'CountAttempt';
  actor: string;
  time: string;
  data: Readonly<Pick<Refused, 'scope' | 'whom' | 'place' | 'compared'> & { arrived_at: string }>;
}>;

export type LockoutState = Readonly<{
  failures: number;
  failed_at: string;
  /** From then on whoever tries could have been told of the lock. */
  known_from: string;
  locked_until: string;
}>;

export type LockoutRejection = Readonly<{ code: 'locked-out' }>;

const stepSeconds = (failures: number): number =>
  STEPS.find(({ failures_max }) => failures <= failures_max)?.seconds ?? LAST_STEP_SECONDS;

export const isLockedAt = ({ locked_until }: LockoutState, time: string): boolean => time < locked_until;

/** Whether a try that arrived then is turned away unread (L4). */
export const isTurnedAway = (state: LockoutState, arrived_at: string, time: string): boolean =>
  isLockedAt(state, time) && arrived_at >= state.known_from;

const decide = (
  { actor, time, data }: LockoutCommand,
  state: LockoutState,
): Decision<LockoutEvent, LockoutRejection> => {
  const { arrived_at, ...attempt } = data;
  if (!data.compared && isTurnedAway(state, arrived_at, time)) return reject({ code: 'locked-out' });
  const forgotten = time >= secondsAfter(state.failed_at, FORGOTTEN_AFTER_SECONDS);
  const failures = forgotten ? 1 : state.failures + 1;
  const known_from = isLockedAt(state, time) ? state.known_from : secondsAfter(time, REFUSAL_DELAY_MS / 1_000);
  const locked_until = secondsAfter(time, stepSeconds(failures));
  return accept({ type: 'AttemptRefused', actor, time, data: { ...attempt, failures, known_from, locked_until } });
};

const LONG_AGO = '1970-01-01T00:00:00.000Z';

export const lockout: Decider<LockoutState, LockoutCommand, LockoutEvent, LockoutRejection> = {
  initial: { failures: 0, failed_at: LONG_AGO, known_from: LONG_AGO, locked_until: LONG_AGO },
  decide,
  evolve: (_, { time, data: { failures, known_from, locked_until } }) => ({
    failures,
    failed_at: time,
    known_from,
    locked_until,
  }),
};
