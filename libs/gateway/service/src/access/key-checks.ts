// Checks of the operator key, from wherever one comes: login, header, body.
//
//   C1. A wrong key counts for its address and for the account, in the log, before it is answered.
//   C2. One key is compared at a time, and none while either is locked out: guesses that come together buy no more
//       than one comparison.
//   C3. A refusal that counted is told when the lock behind it can be known, not sooner.
//   C4. What the log does not take is counted in this process: guesses are bounded even while nothing can be written.

import { isLockedAt, isTurnedAway, type LockoutCommand, type LockoutState } from '@nexusmon/access-domain';
import { keyedId, newId, type EventLog, type Untimed } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import type { Logger } from '@nexusmon/telemetry';
import { LRUCache } from 'lru-cache';
import { createHmac } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { field, problem, type Problem } from '../http/problem.js';
import { sourceOf } from './client-binding.js';
import { lockoutAggregate } from './lockout.aggregate.js';
import type { OperatorKey } from './operator-key.js';

const GATEWAY = 'service:gateway';
const UNWRITTEN_MAX = 10_000;

export type Place = LockoutCommand['data']['place'];
type Target = Readonly<{ id: string; scope: LockoutCommand['data']['scope']; whom: string }>;
type Count = Untimed<LockoutCommand>;
type Judgement = Readonly<{ kind: 'right' | 'wrong' | 'in_flight' | 'turned_away'; states: readonly LockoutState[] }>;

export type KeyCheckOptions = Readonly<{
  log: EventLog;
  keyring: Keyring;
  key: Pick<OperatorKey, 'matches'>;
  /** Whose key it is. */
  account: string;
  pepper: Buffer;
  logger: Logger;
  /** @default the system's */
  clock?: Clock;
}>;

export type Clock = Readonly<{
  /** Milliseconds since 1970. */
  now_ms: () => number;
  pause: (milliseconds: number) => Promise<unknown>;
}>;
const SYSTEM_CLOCK: Clock = { now_ms: Date.now, pause: (milliseconds) => pause(milliseconds) };

/** An address or an account can be looked for under its id, and not be read from it. */
export const lockoutId = (pepper: Buffer, scope: Target['scope'], whom: string): string =>
  keyedId('lck', createHmac('sha256', pepper).update(`lockout/${scope}/${whom}`).digest('hex'));

export class KeyChecks {
  private readonly unwritten = new LRUCache<string, LockoutState>({ max: UNWRITTEN_MAX });
  private last: Promise<unknown> = Promise.resolve();
  private latest_ms = 0;
  private readonly clock: Clock;

  constructor(private readonly options: KeyCheckOptions) {
    this.clock = options.clock ?? SYSTEM_CLOCK;
  }

  /** Settles for the right key; throws the problem that answers any other, and every key during a lockout. */
  async check(address: string, candidate: string, place: Place): Promise<void> {
    const arrived_at = this.now();
    const targets = this.targetsOf(address);
    const first = this.standing(await this.statesOf(targets), arrived_at);
    if (first?.kind === 'turned_away') throw this.lockedOut(first.states);
    const count = (target: Target, compared: boolean): Count => ({
      type: 'CountAttempt',
      actor: GATEWAY,
      data: { scope: target.scope, whom: target.whom, place, compared, arrived_at },
    });
    const judged = await this.inTurn(async (): Promise<Judgement> => {
      const locked = this.standing(await this.statesOf(targets), arrived_at);
      if (locked) return locked;
      if (await this.options.key.matches(candidate)) return { kind: 'right', states: [] };
      return { kind: 'wrong', states: await this.record(targets, (target) => count(target, true)) };
    });
    if (judged.kind === 'right') return;
    if (judged.kind === 'turned_away') throw this.lockedOut(judged.states);
    const begun = judged.kind === 'wrong';
    await this.untilKnown(begun ? judged.states : await this.record(targets, (target) => count(target, false)));
    // Others may have made the lock longer meanwhile.
    const states = await this.statesOf(targets);
    throw begun ? wrongKey(place, this.retryAfter(states)) : this.lockedOut(states);
  }

  /** Undefined while neither is locked out. */
  private standing(states: readonly LockoutState[], arrived_at: string): Judgement | undefined {
    const now = this.now();
    if (states.some((state) => isTurnedAway(state, arrived_at, now))) return { kind: 'turned_away', states };
    return states.some((state) => isLockedAt(state, now)) ? { kind: 'in_flight', states } : undefined;
  }

  /** C2: after whoever came before, whatever became of that. */
  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.last.then(work, work);
    this.last = mine;
    return mine;
  }

  private targetsOf(address: string): readonly Target[] {
    const { account, pepper } = this.options;
    const target = (scope: Target['scope'], whom: string): Target => {
      return { id: lockoutId(pepper, scope, whom), scope, whom };
    };
    return [target('address', sourceOf(address)), target('account', account)];
  }

  private async statesOf(targets: readonly Target[]): Promise<readonly LockoutState[]> {
    const written = await Promise.all(targets.map(({ id }) => this.options.log.load(lockoutAggregate, id)));
    const unwritten = targets.flatMap(({ id }) => this.unwritten.get(id) ?? []);
    return [...written.map(({ state }) => state), ...unwritten];
  }

  private record(targets: readonly Target[], countOf: (target: Target) => Count): Promise<readonly LockoutState[]> {
    return Promise.all(targets.map((target) => this.recordOne(target, countOf(target))));
  }

  private async recordOne({ id }: Target, command: Count): Promise<LockoutState> {
    const { log, keyring, account, logger } = this.options;
    try {
      const identified = { command_id: newId('cmd'), correlation_id: id, command };
      const { state } = await log.execute(lockoutAggregate, id, identified, {
        key_id: await keyring.forOwner(account),
      });
      return state;
    } catch (error) {
      // Whatever kept it from the log: a guess that was compared is never free.
      logger.warn({ msg: 'a wrong operator key is counted in this process alone', lockout_id: id, error });
      return this.keep(id, command);
    }
  }

  /** C4 */
  private keep(id: string, command: Count): LockoutState {
    const { initial, decide, evolve } = lockoutAggregate.decider;
    const before = this.unwritten.get(id) ?? initial;
    const decision = decide({ ...command, time: this.now() }, before);
    const after = decision.kind === 'rejected' ? before : decision.events.reduce(evolve, before);
    this.unwritten.set(id, after);
    return after;
  }

  /** C3 */
  private async untilKnown(states: readonly LockoutState[]): Promise<void> {
    const known_ms = Math.max(...states.map(({ known_from }) => Date.parse(known_from)));
    for (let left_ms = 1; left_ms > 0;) {
      left_ms = known_ms - Date.parse(this.now());
      if (left_ms > 0) await this.clock.pause(left_ms);
    }
  }

  private lockedOut(states: readonly LockoutState[]): Problem {
    const seconds = this.retryAfter(states);
    return problem('locked-out', {
      detail: `after wrong operator keys none is looked at for ${seconds} s`,
      headers: { 'retry-after': seconds },
    });
  }

  private retryAfter(states: readonly LockoutState[]): string {
    const until_ms = Math.max(...states.map(({ locked_until }) => Date.parse(locked_until)));
    return String(Math.max(1, Math.ceil((until_ms - Date.parse(this.now())) / 1_000)));
  }

  /** Never earlier than before: a clock that is set back must not make a lock unknown again. */
  private now(): string {
    this.latest_ms = Math.max(this.latest_ms, this.clock.now_ms());
    return new Date(this.latest_ms).toISOString();
  }
}

const wrongKey = (place: Place, retry_after: string): Problem => {
  const headers = { 'retry-after': retry_after };
  if (place === 'header')
    return problem('operator-key-refused', {
      detail: 'the key in X-Operator-Key is wrong',
      errors: [field('X-Operator-Key', 'not the operator key')],
      headers,
    });
  return problem('operator-key-invalid', {
    detail: 'the operator key is wrong',
    errors: [field('operator_key', 'not the operator key')],
    headers,
  });
};
