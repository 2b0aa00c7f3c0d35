// Who uses the product in a simulation: callers of several rights who may ask twice, and runners that may stop, sleep
// or vanish at any moment.

import { createHash } from 'node:crypto';
import { keyedId } from '@nexusmon/event-log';
import { createBody, MISSION_SUBJECTS, type MissionDocument } from '@nexusmon/mission-contract';
import type { Asked, Rank, Reply } from '@nexusmon/shared-contract';
import type { Assignment, AttemptResult, PollReply, ReportReply } from '@nexusmon/worker-contract';
import { Process } from './machine.js';
import type { World } from './services.js';

const SHAPES = {
  one: () => [task('a')],
  chain: () => [task('a'), task('b', { depends_on: ['a'] })],
  pair: () => [task('a'), task('b')],
  derived: () => [task('a'), task('b', { depends_on: ['a'], input: { value: { $output: 'a' } } })],
  gated: () => [task('a', { requires_approval: true })],
} as const;
export type Shape = keyof typeof SHAPES;
export const shapes = Object.keys(SHAPES) as readonly Shape[];

const task = (task_id: string, over: object = {}) => ({
  ...{ task_id, worker: 'system.echo', input: { value: task_id } },
  ...over,
});

export type Wish = Readonly<{
  rank: Rank;
  shape: Shape;
  hold: boolean;
  tries: 1 | 2;
  /** Whether the caller waits for the end in its request. */
  wait: boolean;
  /** Whether the mission may take a minute only. */
  limited: boolean;
  /** How long one attempt may take: a lease is 30 s. */
  timeout_seconds: 10 | 60;
  /** Whether somebody keeps granting whatever it awaits. */
  patron: boolean;
}>;
export const verbs = ['run', 'approve', 'deny', 'cancel'] as const;
export const roles = ['sovereign', 'operator', 'token', 'service', 'model'] as const;
export type Verb = Readonly<{
  mission: number;
  verb: (typeof verbs)[number];
  role: (typeof roles)[number];
  /** The same request a second time, beside the first. */
  twice: boolean;
  /** How many steps the caller takes before it asks. */
  after: number;
}>;

type Asking = Readonly<{ asked: Asked; mission_id: string }>;
const VISITS = 4;
const VISIT_MS = 2_000;

const ACTORS = {
  sovereign: 'operator:ada',
  operator: 'operator:bob',
  token: 'operator:cem',
  service: 'service:stray',
  model: 'llm:planner',
} as const;

const uuid = (text: string) => keyedId('msn', text);
const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What a caller was told, at last. */
export type Told = Readonly<{ command_id: string; mission_id: string; reply: Reply<unknown> }>;

export class Callers {
  readonly told: Told[] = [];
  open = 0;

  constructor(private readonly world: World) {}

  missionId(index: number): string {
    return uuid(`mission ${index}`);
  }

  async create(index: number, wish: Wish): Promise<void> {
    const { rank, shape, hold, tries, timeout_seconds, wait, limited, patron } = wish;
    const retry = { max_attempts: tries, backoff_seconds: 1 };
    const tasks = SHAPES[shape]().map((one) => ({ ...one, retry, timeout_seconds }));
    const constraints = limited ? { max_time_seconds: 60 } : {};
    const body = createBody.parse({ goal: `mission ${index}`, rank, hold, constraints, plan: { tasks } });
    const mission_id = this.missionId(index);
    const asked = askedBy('sovereign', keyedId('cmd', 'create', String(index)), body);
    if (patron) void this.patronise(mission_id, hold);
    await this.insist(MISSION_SUBJECTS.create, { asked, mission_id, body, wait_ms: wait ? 10_000 : 0 });
  }

  private async patronise(mission_id: string, hold: boolean): Promise<void> {
    this.open += 1;
    for (let visit = 0; visit < VISITS; visit += 1) {
      await this.world.machine.sleep(VISIT_MS);
      const subject = hold && visit % 2 === 0 ? MISSION_SUBJECTS.run : MISSION_SUBJECTS.approve;
      const asked = askedBy('sovereign', keyedId('cmd', mission_id, String(visit)), { visit });
      await this.insist(subject, { asked, mission_id, sovereign: true, reason: 'because' });
    }
    this.open -= 1;
  }

  async use({ mission, verb, role, twice, after }: Verb, index: number): Promise<void> {
    this.open += 1;
    for (let step = 0; step < after; step += 1) await this.world.machine.transit(`${role} thinks`);
    const asked = askedBy(role, keyedId('cmd', 'verb', String(index)), { mission, verb });
    const request = { asked, mission_id: this.missionId(mission), sovereign: role === 'sovereign', reason: 'because' };
    const once = (): Promise<void> => this.insist(MISSION_SUBJECTS[verb], request);
    await Promise.all(twice ? [once(), once()] : [once()]);
    this.open -= 1;
  }

  /** Sends a request until it is answered, always under the same id. */
  private async insist<Request extends Asking>(subject: string, request: Request): Promise<void> {
    const { machine } = this.world;
    this.open += 1;
    for (;;) {
      const reply = await inTime(this.world.ask<MissionDocument>(subject, request));
      if (reply && reply.kind !== 'unavailable') {
        const { asked, mission_id } = request;
        this.told.push({ command_id: asked.command_id, mission_id, reply });
        this.open -= 1;
        return;
      }
      await machine.sleep(1_000);
    }
  }
}

const askedBy = (role: Verb['role'], command_id: string, request: object): Asked => ({
  ...{ actor: ACTORS[role], command_id, request_digest: digestOf(request) },
  ...(role === 'token' ? { rank_ceiling: 'C' as const } : {}),
});

const ASK_MS = 15_000;
/** Undefined where nobody has answered in time, or nobody can: which of them nobody knows. */
const inTime = <Answer>(asking: Promise<Reply<Answer>>): Promise<Reply<Answer> | undefined> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ASK_MS);
    const settle = (reply: Reply<Answer> | undefined) => {
      clearTimeout(timer);
      resolve(reply);
    };
    asking.then(settle, () => settle(undefined));
  });

export const behaviours = ['completes', 'fails', 'fails for good', 'takes long', 'hangs'] as const;
export type Behaviour = (typeof behaviours)[number];
/** Every start of an attempt, and what the runner was told of its result. */
export type Execution = Readonly<{ assignment: Assignment; runner_id: string; at: string }> & {
  result?: AttemptResult;
  accepted?: boolean;
};

const POLL_MS = 5_000;
const SLOTS = 2;
const LONG_MS = 6_000;
const WORKERS = ['system.echo'];

/** A machine that runs tasks. Its processes come and go; a process that is held sleeps through everything. */
export class Runner {
  readonly executions: Execution[] = [];
  private process = new Process('runner');
  private running = new Map<string, Execution>();
  private held_until_ms = 0;
  private fresh = true;
  private born = 0;

  constructor(
    private readonly world: World,
    private readonly name: string,
    private readonly next: () => Behaviour,
  ) {}

  start(): void {
    this.born += 1;
    this.process = new Process(`${this.name} ${this.born}`);
    this.running = new Map();
    this.fresh = true;
    this.world.machine.as(this.process, () => void this.live(this.process));
  }

  /** Another process takes its place, under the same name. */
  crash(): void {
    this.world.machine.kill(this.process);
    this.start();
  }

  /** It does nothing for this long, and then goes on as if nothing had been. */
  hold(ms: number): void {
    this.held_until_ms = this.world.machine.now_ms + ms;
  }

  private async live(process: Process): Promise<void> {
    const { machine } = this.world;
    while (process.alive) {
      await this.awake();
      const slots = SLOTS - this.running.size;
      const running = [...this.running.values()].map(({ assignment }) => nameOf(assignment));
      const request = {
        ...{ runner_id: this.name, workers: WORKERS, slots, running, wait_ms: POLL_MS },
        ...(this.fresh ? { manifests: [] } : {}),
      };
      this.fresh = false;
      const reply = await inTime(this.world.ask<PollReply>(MISSION_SUBJECTS.poll, request));
      await machine.step(`${this.name} hears`, process);
      await this.awake();
      if (reply?.kind === 'done') {
        for (const { mission_id, task_id, attempt } of reply.body.stop)
          this.running.delete(keyOf(mission_id, task_id, attempt));
        for (const assignment of reply.body.assignments) void this.execute(assignment, process);
        if (slots === 0) await machine.sleep(1_000);
      } else {
        // What that poll was to bring may be on its way still: it is not ours any more.
        this.fresh = true;
        await machine.sleep(500);
      }
    }
  }

  private async execute(assignment: Assignment, process: Process): Promise<void> {
    const { machine } = this.world;
    const { mission_id, task_id, attempt } = assignment;
    const execution: Execution = { assignment, runner_id: this.name, at: machine.now };
    if (machine.now >= assignment.permit.claims.expires_at) {
      await this.report(execution, failed('permit_invalid', false), process);
      return;
    }
    this.executions.push(execution);
    const key = keyOf(mission_id, task_id, attempt);
    this.running.set(key, execution);
    const behaviour = this.next();
    await machine.step(`${this.name} runs ${task_id}`, process);
    if (behaviour === 'hangs') return;
    if (behaviour === 'takes long') await machine.sleep(LONG_MS);
    await this.awake();
    if (!this.running.has(key)) return;
    await this.report(execution, resultOf(behaviour, assignment), process);
    this.running.delete(key);
  }

  private async report(execution: Execution, result: AttemptResult, process: Process): Promise<void> {
    const { machine } = this.world;
    const { mission_id, task_id, attempt } = execution.assignment;
    execution.result = result;
    const request = { runner_id: this.name, workers: WORKERS, mission_id, task_id, attempt, result };
    for (;;) {
      const reply = await inTime(this.world.ask<ReportReply>(MISSION_SUBJECTS.report, request));
      await machine.step(`${this.name} hears of its report`, process);
      await this.awake();
      if (reply?.kind === 'done') {
        execution.accepted = reply.body.accepted;
        for (const assignment of reply.body.assignments) void this.execute(assignment, process);
        return;
      }
      await machine.sleep(1_000);
    }
  }

  private async awake(): Promise<void> {
    const { machine } = this.world;
    while (this.held_until_ms > machine.now_ms) await machine.sleep(this.held_until_ms - machine.now_ms);
  }
}

const keyOf = (...parts: readonly (string | number)[]) => parts.join('/');
const nameOf = ({ mission_id, task_id, attempt }: Assignment) => ({ mission_id, task_id, attempt });

const failed = (code: 'worker_failed' | 'permit_invalid', retryable: boolean): AttemptResult => ({
  ...{ outcome: 'failed', duration_ms: 1 },
  error: { code, message: code, retryable },
});

/** A result says which attempt it is of, so that it can be told from that of another. */
const resultOf = (behaviour: Behaviour, { task_id, attempt }: Assignment): AttemptResult =>
  behaviour === 'fails' || behaviour === 'fails for good'
    ? failed('worker_failed', behaviour === 'fails')
    : { outcome: 'completed', output: { value: `${task_id} ${attempt}` }, artifacts: [], duration_ms: 1 };
