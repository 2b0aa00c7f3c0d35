import { describe, expect, it } from '@jest/globals';
import type { LockoutEvent } from '@nexusmon/access-contract';
import { secondsAfter } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { isLockedAt, isTurnedAway, lockout, type LockoutCommand } from './lockout.js';

const { given, history, fold } = specify(lockout);

const GATEWAY = 'service:gateway';
const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
const attempt = { scope: 'address', whom: '10.0.0.9', place: 'login' } as const;

/** A try that was decided at `seconds` and had arrived `lag` before. */
const tried = (seconds: number, { compared = true, lag = 0 } = {}): LockoutCommand => ({
  type: 'CountAttempt',
  actor: GATEWAY,
  time: at(seconds),
  data: { ...attempt, compared, arrived_at: at(seconds - lag) },
});
const refused = (
  seconds: number,
  failures: number,
  lock_seconds: number,
  { compared = true, known = seconds + 0.25 } = {},
): LockoutEvent => ({
  type: 'AttemptRefused',
  actor: GATEWAY,
  time: at(seconds),
  data: { ...attempt, compared, failures, known_from: at(known), locked_until: at(seconds + lock_seconds) },
});
const locked_out = { code: 'locked-out' } as const;

const HOUR = 3_600;
const STEPS = [30, 30, 30, 120, 120, 120, 900, 900, 900, HOUR] as const;

describe('a lockout', () => {
  it('lasts longer the more failures there were, each tried the moment the lock before was over (L1)', () => {
    let seconds = 0;
    const commands = STEPS.map((step) => {
      const command = tried(seconds);
      seconds += step;
      return command;
    });
    seconds = 0;
    const expected = STEPS.map((step, index) => {
      const event = refused(seconds, index + 1, step);
      seconds += step;
      return event;
    });
    expect(history(commands)).toEqual(expected);
  });

  it('lasts an hour from the tenth failure on, however many come together (L1, L4)', () => {
    const together = Array.from({ length: 100 }, (_, index) => tried(0, { compared: index === 0 }));
    const events = history(together);
    expect(events.map(({ data }) => data.failures)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(new Set(events.slice(9).map(({ data }) => data.locked_until))).toEqual(new Set([at(HOUR)]));
  });

  it('is over to the millisecond (L1)', () => {
    const state = fold([refused(0, 1, 30)]);
    expect([isLockedAt(state, at(29.999)), isLockedAt(state, at(30))]).toEqual([true, false]);
  });

  it('turns away what was sent once its first refusal could be known, to the millisecond (L4)', () => {
    given(refused(0, 1, 30))
      .when(tried(0.3, { compared: false, lag: 0.05 }))
      .thenRejected(locked_out);
    given(refused(0, 1, 30))
      .when(tried(0.3, { compared: false, lag: 0.051 }))
      .then(refused(0.3, 2, 30, { compared: false, known: 0.25 }));
    expect(isTurnedAway(fold([refused(0, 1, 30)]), at(0.25), at(0.3))).toBe(true);
    expect(isTurnedAway(fold([refused(0, 1, 30)]), at(0.249), at(0.3))).toBe(false);
  });

  it('is known from its beginning, not from what counted since (L4)', () => {
    given(refused(0, 1, 30), refused(0.2, 2, 30, { compared: false, known: 0.25 }))
      .when(tried(0.4, { compared: false, lag: 0.1 }))
      .thenRejected(locked_out);
  });

  it('counts what was compared, whatever the clock of another process says (L3)', () =>
    given(refused(0, 1, 30))
      .when(tried(5))
      .then(refused(5, 2, 30, { known: 0.25 })));

  it('begins again an hour after the last failure, to the millisecond (L2)', () => {
    given(refused(0, 9, 900))
      .when(tried(HOUR - 0.001))
      .then(refused(HOUR - 0.001, 10, HOUR));
    given(refused(0, 9, 900))
      .when(tried(HOUR))
      .then(refused(HOUR, 1, 30));
    given(refused(0, 10, HOUR))
      .when(tried(HOUR))
      .then(refused(HOUR, 1, 30));
  });

  it('never ends earlier for what comes later, counts each failure once, and agrees with its table (L1 to L5)', () => {
    const gap = fc.oneof(
      fc.constantFrom(0, 0.001, 0.25, 1, 29.999, 30, 120, 900, HOUR - 0.001, HOUR),
      fc.integer({ min: 0, max: 4_000_000 }).map((milliseconds) => milliseconds / 1_000),
    );
    const step = fc.record({ gap, lag: fc.constantFrom(0, 0.1, 0.249, 0.25, 40), compared: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        let now = 0;
        const commands = steps.map(({ gap: later, lag, compared }) => tried((now += later), { lag, compared }));
        expect(history(commands)).toEqual(modelled(commands));
      }),
    );
  });
});

/** The same rules told another way: over the whole past instead of a folded state. */
const modelled = (commands: readonly LockoutCommand[]): LockoutEvent[] => {
  const events: LockoutEvent[] = [];
  const locks: { began: number; ends: number }[] = [];
  for (const { actor, time, data } of commands) {
    const [now, arrived] = [Date.parse(time), Date.parse(data.arrived_at)];
    const lock = locks.findLast(({ ends }) => now < ends);
    if (lock && !data.compared && arrived >= lock.began + 250) continue;
    let failures = 1;
    for (let index = events.length - 1, later = now; index >= 0; index -= 1) {
      const earlier = Date.parse(events[index]?.time ?? '');
      if (later - earlier >= HOUR * 1_000) break;
      failures += 1;
      later = earlier;
    }
    const ends = now + (STEPS[Math.min(failures, STEPS.length) - 1] ?? 0) * 1_000;
    const { began } = lock ?? { began: now };
    if (lock) expect(ends).toBeGreaterThanOrEqual(lock.ends);
    if (lock) lock.ends = ends;
    else locks.push({ began, ends });
    const { arrived_at, ...attempted } = data;
    void arrived_at;
    const [known_from, locked_until] = [new Date(began + 250).toISOString(), new Date(ends).toISOString()];
    events.push({ type: 'AttemptRefused', actor, time, data: { ...attempted, failures, known_from, locked_until } });
  }
  return events;
};
