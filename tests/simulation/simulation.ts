// A deterministic simulation of missions, approvals and what follows from them: the product's own services on a machine
// that a seed decides about.
//
//   D1. The code that is tried is the product's: deciders, the aggregates' log with its appends, gate, permits,
//       dispatch, reactors, projections, clocks. Only what the machine does is simulated: the log's server, the
//       database, the network, time, the runners' machines, and death.
//   D2. This is no log for a product: it forgets everything, and knows no more of the real servers than is asked here.
//   D3. What a schedule is (missions, callers, faults, the order of every step) comes from fast-check alone, so that
//       seed and path bring back the very same one.
//   D4. Faults come at steps: processes die with all their memory, requests and answers get lost, runners sleep through
//       their leases, time leaps. They end after a while; then everything must come to rest without anybody's help.

import fc, { type Scheduler } from 'fast-check';
import { RANKS } from '@nexusmon/shared-contract';
import type { PermitClaims } from '@nexusmon/worker-contract';
import { findingsOf, isAtRest } from './findings.js';
import type { Fate } from './log-server.js';
import { Machine, Process } from './machine.js';
import { behaviours, Callers, roles, Runner, shapes, verbs, type Behaviour, type Verb, type Wish } from './people.js';
import { World, type Context } from './services.js';

const FATES = ['lost', 'unheard', 'cut_before', 'cut_after'] as const satisfies readonly Fate[];
const LEAPS = { 'leap 1 s': 1e3, 'leap 8 s': 8e3, 'leap 40 s': 4e4, 'leap 5 h': 1.8e7, 'leap 25 h': 9e7 } as const;
const CONTEXTS = ['mission', 'governance', 'evolution'] as const satisfies readonly Context[];
type Trouble =
  | (typeof FATES)[number]
  | keyof typeof LEAPS
  | `crash ${Context}`
  | `second ${'mission' | 'governance'}`
  | 'crash runner'
  | 'hold runner';
/** `at`: before which step. */
type Fault = Readonly<{ at: number; kind: Trouble }>;

export type Scenario = Readonly<{
  missions: readonly Wish[];
  verbs: readonly Verb[];
  behaviours: readonly Behaviour[];
  faults: readonly Fault[];
}>;

const FAULTS_WITHIN = 200;
const STEPS_MAX = 5_000;
const RESTART_MS = 1_000;
const HOLD_MS = 45_000;
const PROCESSES_MAX = 2;
const BESIDE_MS = 20_000;

const MOSTLY: readonly Behaviour[] = Array.from({ length: 6 }, () => 'completes');
const rarely = fc.constantFrom(false, false, false, false, false, true);
const anyWish: fc.Arbitrary<Wish> = fc.record({
  rank: fc.constantFrom(...RANKS, 'A', 'S'),
  shape: fc.constantFrom(...shapes),
  hold: rarely,
  tries: fc.constantFrom(1, 2),
  wait: fc.boolean(),
  timeout_seconds: fc.constantFrom(10, 60),
  limited: rarely,
  patron: fc.constantFrom(true, true, false),
});
const anyVerb: fc.Arbitrary<Verb> = fc.record({
  mission: fc.nat(1),
  verb: fc.constantFrom('approve', 'approve', 'approve', ...verbs),
  role: fc.constantFrom('sovereign', 'sovereign', 'sovereign', ...roles),
  twice: fc.constantFrom(false, false, true),
  after: fc.nat(30),
});
const troubles: readonly Trouble[] = [
  ...FATES,
  ...CONTEXTS.map((context) => `crash ${context}` as const),
  ...(Object.keys(LEAPS) as (keyof typeof LEAPS)[]),
  ...(['crash mission', 'crash runner', 'hold runner', 'second mission', 'second governance'] as const),
];
export const anyScenario: fc.Arbitrary<Scenario> = fc.record({
  missions: fc.array(anyWish, { minLength: 1, maxLength: 2 }),
  verbs: fc.array(anyVerb, { maxLength: 4, size: 'max' }),
  behaviours: fc.array(fc.constantFrom(...MOSTLY, ...behaviours), {
    ...{ minLength: 1, maxLength: 4, size: 'max' },
  }),
  faults: fc.array(fc.record({ at: fc.nat(FAULTS_WITHIN), kind: fc.constantFrom(...troubles) }), {
    ...{ maxLength: 6, size: 'max' },
  }),
});

/** Runs one schedule; what it broke, and how many steps it took. */
export const simulate = async (scheduler: Scheduler, scenario: Scenario) => {
  const machine = new Machine(scheduler);
  const restore = machine.install();
  const world = new World(machine);
  try {
    const callers = new Callers(world);
    let run = 0;
    const next = () => scenario.behaviours[run++ % scenario.behaviours.length] ?? 'completes';
    const runners = ['runner_1', 'runner_2'].map((name) => new Runner(world, name, next));
    for (const context of CONTEXTS) world.start(new Process(context), context);
    for (const runner of runners) runner.start();
    scenario.missions.forEach((wish, index) => void callers.create(index, wish));
    scenario.verbs.forEach((verb, index) => void callers.use(verb, index));

    const faults = scenario.faults.toSorted((one, other) => one.at - other.at);
    const over = () =>
      faults.length === 0 &&
      callers.open === 0 &&
      world.services.every(({ process, derivations }) => !process.alive || derivations.idle) &&
      CONTEXTS.every((context) => world.alive(context).length > 0) &&
      isAtRest(world);
    let crashes = 0;
    const before = (step: number) => {
      for (let fault = faults[0]; fault && fault.at <= step; fault = faults[0]) {
        faults.shift();
        if (fault.kind.startsWith('crash')) crashes += 1;
        happen(fault.kind, step, world, runners);
      }
    };
    await machine.run(over, before, STEPS_MAX);
    const executions = runners.flatMap((runner) => runner.executions);
    const broken = [...(await findingsOf(world, callers, executions)), ...world.faults];
    return { broken, counts: await countsOf(world, runners, crashes) };
  } finally {
    world.close();
    restore();
  }
};

/** What has happened in it, so that a run can say what it has tried. */
const countsOf = async (world: World, runners: readonly Runner[], crashes: number) => {
  const commits = await world.commits.all();
  const names = commits.flatMap(({ events }) => events.map(({ name }) => name));
  const count = (...wanted: readonly string[]) => names.filter((name) => wanted.includes(name)).length;
  const high = commits
    .flatMap(({ events }) => events)
    .filter(({ name, data }) => {
      const { claims } = (data['permit'] ?? {}) as { claims?: PermitClaims };
      return name === 'TaskClaimed' && claims !== undefined && /[AS]/.test(claims.rank);
    });
  return new Map([
    ['steps', world.machine.steps],
    ['crashes', crashes],
    ['commits', commits.length],
    ['runs', runners.reduce((sum, { executions }) => sum + executions.length, 0)],
    ['starts', count('TaskClaimed')],
    ['starts_at_a_or_s', high.length],
    ['results', count('TaskCompleted')],
    ['timers', count('TaskReady', 'ApprovalExpired') + count('ApprovalCoolingOff')],
    ['completed', count('MissionCompleted')],
  ]);
};

const happen = (kind: Trouble, step: number, world: World, runners: readonly Runner[]): void => {
  const { machine, server } = world;
  const runner = runners[step % runners.length];
  switch (kind) {
    case 'lost':
    case 'unheard':
    case 'cut_before':
    case 'cut_after':
      server.fates.push(kind);
      return;
    case 'crash runner':
      return runner?.crash();
    case 'hold runner':
      return runner?.hold(HOLD_MS);
    case 'crash mission':
    case 'crash governance':
    case 'crash evolution':
      return crash(world, kind.slice('crash '.length) as Context);
    case 'second mission':
    case 'second governance':
      return second(world, kind.slice('second '.length) as Context);
    case 'leap 1 s':
    case 'leap 8 s':
    case 'leap 40 s':
    case 'leap 5 h':
    case 'leap 25 h':
      machine.pass(LEAPS[kind]);
  }
};

/** Two of a kind, as while one takes the other's place: each has one runner, and neither knows of the other. */
const second = (world: World, context: Context): void => {
  if (world.alive(context).length >= PROCESSES_MAX) return;
  const process = new Process(`second ${context}`);
  world.start(process, context);
  const ended = async () => {
    await world.machine.sleep(BESIDE_MS);
    world.machine.kill(process);
  };
  void ended();
};

/** It is started again a while later, and knows nothing. */
const crash = (world: World, context: Context): void => {
  const [service] = world.alive(context);
  if (!service) return;
  world.machine.kill(service.process);
  const restarted = async () => {
    await world.machine.sleep(RESTART_MS);
    world.start(new Process(context), context);
  };
  void restarted();
};
