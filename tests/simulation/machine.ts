// The machine that simulated processes run on: time, timers, steps, and death.
//
//   S1. Nothing goes on by itself: whatever waits for the machine (an answer, a write, the clock) is one step that
//       fast-check's scheduler releases, in an order that it draws. Between two steps every promise that can go on has.
//   S2. Time is simulated and moves in steps only, to the next timer or far over it: timers may be late, never early.
//   S3. A process that has died hears of nothing any more: its timers are gone and none of its steps is answered.
//       What it had sent may still arrive.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Scheduler } from 'fast-check';

const BEGIN_MS = Date.parse('2026-01-01T12:00:00.000Z');
/** How far time goes in one step at least: while there is something to do, and while there is nothing. */
const BUSY_MS = 300;
const IDLE_MS = 2_500;

const real = {
  Date: globalThis.Date,
  performance: globalThis.performance,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
};

/** Memory and timers that end together. */
export class Process {
  alive = true;
  constructor(readonly name: string) {}
}

type Timer = {
  due_ms: number;
  readonly every_ms: number | undefined;
  readonly owner: Process;
  readonly run: () => void;
};

/** What a dead process waits for. One for each wait: a common one would keep all that ever waited. */
const forever = () => new Promise<never>(() => undefined);

export class Machine {
  now_ms = BEGIN_MS;
  /** How many steps have been released. */
  steps = 0;
  private readonly present = new AsyncLocalStorage<Process>();
  private readonly nobody = new Process('nobody');
  private readonly timers = new Set<Timer>();
  private immediates: Timer[] = [];
  private open = 0;

  constructor(private readonly scheduler: Scheduler) {}

  get now(): string {
    return new real.Date(this.now_ms).toISOString();
  }

  /** Runs `work` as this process: its timers are that process's. */
  as<Result>(owner: Process, work: () => Result): Result {
    return this.present.run(owner, work);
  }

  /** One step: goes on when it is released, and never in a process that has died. */
  async step(label: string, owner = this.owner): Promise<void> {
    this.open += 1;
    await this.scheduler.schedule(Promise.resolve(), label);
    this.open -= 1;
    if (!owner.alive) await forever();
  }

  /** The same for what is under way between processes, which outlives them. */
  async transit(label: string): Promise<void> {
    await this.step(label, this.nobody);
  }

  kill(process: Process): void {
    process.alive = false;
    for (const timer of this.timers) if (timer.owner === process) this.timers.delete(timer);
  }

  /** Time has passed, whatever was to be done meanwhile: it is late now. */
  pass(ms: number): void {
    this.now_ms += ms;
    this.fire();
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.add(resolve, ms, undefined));
  }

  /** Releases steps, and lets time pass, until it is over or `steps_max` are done. */
  async run(over: () => boolean, before: (step: number) => void, steps_max: number): Promise<void> {
    let timed = false;
    const time = async () => {
      timed = true;
      await this.scheduler.schedule(Promise.resolve(), 'time');
      timed = false;
      this.moveOn();
    };
    for (;;) {
      await this.turn();
      if (over()) return;
      if (this.steps >= steps_max) throw new Error(`not settled after ${this.steps} steps, at ${this.now}`);
      if (!timed) void time();
      before(this.steps);
      this.steps += 1;
      await this.scheduler.waitNext(1);
    }
  }

  /** Whatever can go on without a step has gone on after this. */
  private async turn(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => real.setImmediate(resolve));
      const { immediates } = this;
      if (immediates.length === 0) return;
      this.immediates = [];
      for (const { owner, run } of immediates) if (owner.alive) this.as(owner, run);
    }
  }

  private moveOn(): void {
    let next_ms = Infinity;
    for (const { due_ms } of this.timers) if (due_ms < next_ms) next_ms = due_ms;
    if (next_ms === Infinity) return;
    const least_ms = this.now_ms + (this.open === 0 ? IDLE_MS : BUSY_MS);
    this.now_ms = Math.max(next_ms, least_ms);
    this.fire();
  }

  private fire(): void {
    const due = [...this.timers].filter(({ due_ms }) => due_ms <= this.now_ms);
    due.sort((one, other) => one.due_ms - other.due_ms);
    for (const timer of due) {
      if (!this.timers.has(timer)) continue;
      if (timer.every_ms === undefined) this.timers.delete(timer);
      else timer.due_ms = this.now_ms + timer.every_ms;
      this.as(timer.owner, timer.run);
    }
  }

  private get owner(): Process {
    return this.present.getStore() ?? this.nobody;
  }

  private add(run: () => void, ms: number, every_ms: number | undefined): Timer {
    const timer = { due_ms: this.now_ms + Math.max(ms, 0), every_ms, owner: this.owner, run };
    if (timer.owner.alive) this.timers.add(timer);
    return timer;
  }

  /** Puts this machine's clock and timers in place of Node's until the returned function is called. */
  install(): () => void {
    return use(this);
  }

  addTimer(run: () => void, ms: number, every_ms?: number): Timer {
    return this.add(run, ms, every_ms);
  }

  addImmediate(run: () => void): void {
    this.immediates.push({ due_ms: this.now_ms, every_ms: undefined, owner: this.owner, run });
  }

  clear(timer: unknown): void {
    this.timers.delete(timer as Timer);
  }
}

/** Whose clock it is now; Node's own where there is none. */
let current: Machine | undefined;
let replaced = false;

const use = (machine: Machine): (() => void) => {
  replaceOnce();
  current = machine;
  return () => (current = undefined);
};

/** Once for all machines: a realm of jest remembers every value that one of its globals ever had. */
const replaceOnce = (): void => {
  if (replaced) return;
  replaced = true;
  const now = () => current?.now_ms ?? real.Date.now();
  class SimulatedDate extends real.Date {
    constructor(...given: [] | [string | number | Date]) {
      super(...((given.length === 0 ? [now()] : given) as [number]));
    }
    static override now = now;
  }
  const clear = (timer: unknown) => (current ? current.clear(timer) : real.clearTimeout(timer as NodeJS.Timeout));
  const globals = {
    Date: SimulatedDate,
    performance: { now: () => (current ? current.now_ms - BEGIN_MS : real.performance.now()) },
    setTimeout: (run: () => void, ms = 0) => current?.addTimer(run, ms) ?? real.setTimeout(run, ms),
    clearTimeout: clear,
    setInterval: (run: () => void, ms = 0) => current?.addTimer(run, ms, ms) ?? real.setInterval(run, ms),
    clearInterval: clear,
    setImmediate: (run: () => void) => (current ? current.addImmediate(run) : real.setImmediate(run)),
  };
  Object.assign(globalThis, globals);
};
