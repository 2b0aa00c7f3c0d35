// Claims: which runner works on what, and when it was last heard of. Kept in memory: heartbeats are no events.
//
//   C1. A claim is known here because a commit says so; a lost memory makes a claim look younger, never older.
//   C2. A claim ends by its result, or is released when its runner is silent for a lease, or says that it does not have
//       it. The attempt number refuses whoever comes back late, so nothing here needs to be exact.
//   C3. An attempt that a runner has, and that is not known here, is no claim of this process: whether it is one at all
//       the log says. One that is none would keep its slot for as long as it may take, up to a day.

import { LEASE_SECONDS } from '@nexusmon/mission-contract';

export type Claim = Readonly<{ mission_id: string; task_id: string; attempt: number; runner_id: string }>;
export type AttemptName = Readonly<{ mission_id: string; task_id: string; attempt: number }>;

/** A runner may not have read its assignment yet when it says what it is running. */
const HANDOVER_MS = 3_000;

type Held = { claim: Claim; since: number; seen: number };

export class Claims {
  private readonly held = new Map<string, Map<string, Held>>();
  /** The same by runner, so that what one says of itself costs no look at the others. */
  private readonly by_runner = new Map<string, Set<Held>>();

  /** Takes over what a mission's commit says is running; tells which known claims that ended. */
  observe(mission_id: string, running: readonly Claim[], now: number): Claim[] {
    const before = this.held.get(mission_id);
    const after = new Map<string, Held>();
    for (const claim of running) {
      const known = before?.get(claim.task_id);
      const same = known?.claim.attempt === claim.attempt;
      after.set(claim.task_id, same ? known : this.take({ claim, since: now, seen: now }));
    }
    if (after.size > 0) this.held.set(mission_id, after);
    else this.held.delete(mission_id);
    const ended = [...(before?.values() ?? [])].filter((held) => after.get(held.claim.task_id) !== held);
    for (const held of ended) this.leave(held);
    return ended.map(({ claim }) => claim);
  }

  /**
   * Hears from a runner; tells which of its claims it has lost, which of its attempts it should stop, and of which
   * nothing is known here (C3). One that does not say what it is running is alive, and no more is known.
   */
  heard(runner_id: string, running: readonly AttemptName[] | undefined, now: number) {
    if (!running) return { lost: [], stop: [], unknown: [] };
    return this.compared(runner_id, running, now);
  }

  private compared(runner_id: string, running: readonly AttemptName[], now: number) {
    const names = new Set(running.map(nameOf));
    const lost: Claim[] = [];
    for (const held of this.by_runner.get(runner_id) ?? []) {
      held.seen = now;
      if (!names.has(nameOf(held.claim)) && now - held.since > HANDOVER_MS) lost.push(held.claim);
    }
    const stop = running.filter(({ mission_id, task_id, attempt }) => {
      const current = this.held.get(mission_id)?.get(task_id);
      return current !== undefined && current.claim.attempt !== attempt;
    });
    const unknown = running.filter(({ mission_id, task_id }) => !this.held.get(mission_id)?.has(task_id));
    return { lost, stop, unknown };
  }

  /** The runner has reported: the end of this claim is no news to it. */
  reported(mission_id: string, task_id: string, attempt: number): void {
    if (this.held.get(mission_id)?.get(task_id)?.claim.attempt === attempt) this.forget(mission_id, task_id);
  }

  holds({ mission_id, task_id, attempt }: AttemptName): boolean {
    return this.held.get(mission_id)?.get(task_id)?.claim.attempt === attempt;
  }

  forget(mission_id: string, task_id: string): void {
    const tasks = this.held.get(mission_id);
    const held = tasks?.get(task_id);
    if (held) this.leave(held);
    tasks?.delete(task_id);
    if (tasks?.size === 0) this.held.delete(mission_id);
  }

  /** Claims whose runner has been silent for a lease. */
  expired(now: number): Claim[] {
    return [...this.all()].filter(({ seen }) => now - seen > LEASE_SECONDS * 1_000).map(({ claim }) => claim);
  }

  get size(): number {
    let count = 0;
    for (const tasks of this.held.values()) count += tasks.size;
    return count;
  }

  private take(held: Held): Held {
    const { runner_id } = held.claim;
    this.by_runner.set(runner_id, (this.by_runner.get(runner_id) ?? new Set()).add(held));
    return held;
  }

  private leave(held: Held): void {
    const { runner_id } = held.claim;
    const own = this.by_runner.get(runner_id);
    own?.delete(held);
    if (own?.size === 0) this.by_runner.delete(runner_id);
  }

  private *all(): Generator<Held> {
    for (const tasks of this.held.values()) yield* tasks.values();
  }
}

const nameOf = ({ mission_id, task_id, attempt }: AttemptName) => `${mission_id}/${task_id}/${attempt}`;
