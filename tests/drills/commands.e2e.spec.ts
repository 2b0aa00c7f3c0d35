// What commands do to a mission when many clients give them at once, and processes die, stand still and lose each other
// meanwhile.

import { afterAll, describe } from '@jest/globals';
import { drill, type Round } from '../support/drill.js';
import { illegalAmong, type History, type Operation } from '../support/linearizability.js';
import type { VERBS } from '../support/mission-life.js';
import { bodyOf, KINDS, lifeOf, type Kind } from '../support/mission-life.js';
import { startOverOutsideLog, type OutsideLog } from '../support/outside-log.js';
import { openPorcupine } from '../support/porcupine.js';
import { eventually, type BrokenBuild, type Client } from '../support/product.js';

const MISSIONS = '/v1/engine/missions';
const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));
const pick = <Item>(items: readonly Item[], random: () => number): Item => {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
};

/** One product for all drills of the whole build; a broken one is its own. */
let whole: OutsideLog | undefined;
const startOf = async (broken: BrokenBuild | undefined): Promise<OutsideLog> => {
  if (broken) return startOverOutsideLog({ broken });
  whole ??= await startOverOutsideLog();
  return whole;
};
const endOf = async (log: OutsideLog): Promise<void> => {
  log.line.heal();
  if (log !== whole) await log.stop();
};
afterAll(async () => whole?.stop(), 60_000);

type Said = Readonly<{ status: number; headers: Headers; body: Record<string, unknown> }>;
/** Nobody listened: it was never asked. */
type Told = Said | 'unknown' | 'unasked';

const ANSWER_MS_MAX = 12_000;
const UNASKED = ['ECONNREFUSED'];

/** One question, asked once. */
const ask = async (
  operator: Client,
  method: string,
  path: string,
  body?: object,
  headers: object = {},
): Promise<Told> => {
  try {
    const response = await fetch(`${operator.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${operator.token}`,
        'user-agent': 'nexusmon-tests',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const answered = (await response.json()) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, body: answered };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code } = (error.cause ?? {}) as { code?: string };
    if (code !== undefined && UNASKED.includes(code)) return 'unasked';
    if (error instanceof TypeError || error.name === 'TimeoutError' || error instanceof SyntaxError) return 'unknown';
    throw error;
  }
};

/** What may be done to the stack; each heals what it has done. */
type Fault = Readonly<{ name: string; strike: (log: OutsideLog, random: () => number) => Promise<void> }>;

const signalled = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    // It has ended by our own hand a moment ago, and its successor is not known yet.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
};
const pidOf = async ({ product }: OutsideLog, name: string): Promise<number> => (await product.run()).pids[name] ?? 0;
const kill = (name: string): Fault => ({
  name: `kill ${name}`,
  strike: async (log) => {
    signalled(await pidOf(log, name), 'SIGKILL');
  },
});

const FAULTS: readonly Fault[] = [
  {
    name: 'kill nats',
    strike: async ({ nats }) => {
      await nats.kill();
      await nats.run();
    },
  },
  {
    name: 'pause nats',
    strike: async ({ nats }, random) => {
      signalled(nats.pid, 'SIGSTOP');
      await pause(200 + random() * 1_500);
      signalled(nats.pid, 'SIGCONT');
    },
  },
  kill('standalone'),
  {
    name: 'pause standalone',
    strike: async (log, random) => {
      const pid = await pidOf(log, 'standalone');
      if (!signalled(pid, 'SIGSTOP')) return;
      await pause(100 + random() * 700);
      signalled(pid, 'SIGCONT');
    },
  },
  kill('postgres'),
  { name: 'cut', strike: ({ line }) => Promise.resolve(line.sever()) },
  {
    name: 'lose acknowledgements',
    strike: async ({ line }, random) => {
      line.loseAcks(0.2, random);
      await pause(800);
      line.heal();
    },
  },
  {
    name: 'delay',
    strike: async ({ line }, random) => {
      line.delay(20 + random() * 200);
      await pause(600);
      line.heal();
    },
  },
];

/** How far the clients have come; undefined when they are done. */
type Progress = () => number | undefined;

/** Strikes again and again, each fault in turn, whenever the clients have got on since the last one. */
const strikeOn = async (log: OutsideLog, progress: Progress, { n, random, figure }: Round): Promise<void> => {
  const [apart, left]: [number, Fault[]] = [Math.min(250, Math.max(40, n / 20)), []];
  let [strikes, next] = [0, apart];
  for (let at = progress(); at !== undefined; at = progress()) {
    await pause(20);
    if (at < next) continue;
    if (left.length === 0) left.push(...FAULTS);
    const [fault] = left.splice(Math.floor(random() * left.length), 1);
    await fault?.strike(log, random);
    strikes += 1;
    next = (progress() ?? at) + apart;
  }
  figure('faults', strikes);
};

const untilReady = async ({ product }: OutsideLog): Promise<void> => {
  const anyone = await product.anyone();
  await eventually(async () => {
    try {
      return (await anyone.get('/health')).status === 200;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }, 60);
};

const CLIENTS = 32;
const CLIENTS_PER_MISSION = 8;
/** What each asks of a mission beside its creation; a mission has 32 operations, and never fewer than 24. */
const ASKED_EACH = 3;
const REASON = { reason: 'It is a drill.' };
const LIKELY = ['read', 'read', 'run', 'run_with_key', 'approve', 'approve', 'deny', 'cancel'] as const;

const PATHS: Readonly<Record<(typeof VERBS)[number], string>> = {
  run: 'run',
  run_with_key: 'run',
  approve: 'approve',
  deny: 'deny',
  cancel: 'cancel',
};

/** What was said, in the words of the model; undefined for what has certainly done nothing, whatever it says. */
const answerOf = (told: Told): string | null | undefined => {
  if (told === 'unasked') return undefined;
  if (told === 'unknown') return null;
  const { status, body } = told;
  if (status < 300 || status === 403) return String(status);
  if (status === 429 || (status === 409 && body['code'] === 'request-in-flight')) return undefined;
  if (status === 409) return `409 ${body['code'] === 'approval-settled' ? 'settled' : String(body['state'])}`;
  if (status === 503 || status === 504) return null;
  return `${status} ${JSON.stringify(body)}`;
};

/** The eight clients of one mission, and what they saw. */
class Story {
  readonly operations: Operation[] = [];
  asked = 0;
  private onAsked: () => void = () => undefined;

  constructor(
    readonly kind: Kind,
    readonly name: string,
    private readonly operator: Client,
    private readonly random: () => number,
  ) {}

  async live(onAsked: () => void): Promise<void> {
    this.onAsked = onAsked;
    await Promise.all(Array.from({ length: CLIENTS_PER_MISSION }, () => this.client()));
  }

  get history(): History {
    return { id: `${this.kind} ${this.name}`, initial: 'absent', operations: this.operations };
  }

  private async client(): Promise<void> {
    const mission_id = await this.created();
    for (let asked = 0; asked < ASKED_EACH;) {
      await pause(this.random() * 15);
      const op = pick(LIKELY, this.random);
      const path = `${MISSIONS}/${mission_id}`;
      const key = { 'x-operator-key': this.operator.operator_key };
      const told =
        op === 'read'
          ? await this.tell(op, () => ask(this.operator, 'GET', path))
          : await this.tell(op, () =>
              ask(this.operator, 'POST', `${path}/${PATHS[op]}`, REASON, op === 'run' ? {} : key),
            );
      if (told === 'unasked') await pause(50);
      else asked += 1;
    }
  }

  /** All clients send the same request, and repeat it until they know what it made. */
  private async created(): Promise<string> {
    for (;;) {
      const body = bodyOf(this.kind, this.name);
      const told = await this.tell('create', () =>
        ask(this.operator, 'POST', MISSIONS, body, { 'idempotency-key': this.name }),
      );
      if (typeof told === 'object' && told.status === 201) return String(told.body['mission_id']);
      await pause(30 + this.random() * 60);
    }
  }

  private async tell(op: string, question: () => Promise<Told>): Promise<Told> {
    const called = performance.now();
    const told = await question();
    const returned = performance.now();
    const answer = answerOf(told);
    if (answer === undefined) return told;
    this.asked += 1;
    this.onAsked();
    if (op === 'read' && typeof told === 'object' && told.status === 200) this.saw(told, called, returned);
    else this.operations.push({ op, called, returned: answer === null ? Infinity : returned, answer });
    // Every document says what the mission was at some moment of the request.
    if (op !== 'read' && typeof told === 'object' && told.status < 300) this.saw(told, called, returned);
    return told;
  }

  private saw({ body }: Said, called: number, returned: number): void {
    this.operations.push({ op: 'read', called, returned, answer: String(body['status']) });
  }
}

describe('many clients', () => {
  const P4 = {
    promise: 'P4',
    title: 'commands on one mission are linearizable',
    rounds: { test: 300, drill: 50_000 },
    minutes: { test: 5, drill: 60 },
    broken: [
      {
        rule: 'a completed mission that can be cancelled',
        file: 'libs/mission/domain/dist/mission.js',
        find: `if (state.status === 'completed' || state.status === 'failed') return reject(illegalTransition(state));`,
        replace: '',
        rounds: 250,
      },
    ],
  };
  drill(P4, async (round) => {
    const log = await startOf(round.broken);
    try {
      const operator = await log.product.operator();
      const stories: Story[] = [];
      let asked = 0;
      const teller = async (): Promise<void> => {
        while (asked < round.n) {
          const kind = pick(KINDS, round.random);
          const story = new Story(kind, `p4-${stories.length}-${round.seed}`, operator, round.random);
          stories.push(story);
          await story.live(() => (asked += 1));
        }
      };
      let told = false;
      const tellers = Promise.all(Array.from({ length: CLIENTS / CLIENTS_PER_MISSION }, teller)).finally(() => {
        told = true;
      });
      await Promise.all([tellers, strikeOn(log, () => (told ? undefined : asked), round)]);
      await untilReady(log);

      const porcupine = openPorcupine();
      for (const kind of KINDS) {
        const histories = stories.filter((story) => story.kind === kind).map(({ history }) => history);
        const illegal = illegalAmong(lifeOf(kind), histories);
        for (const { id, operations } of illegal)
          round.fail(`${id}: ${JSON.stringify(operations.toSorted((one, other) => one.called - other.called))}`);
        if ('missing' in porcupine) continue;
        const theirs = porcupine.illegalAmong(lifeOf(kind), histories);
        if (theirs.length !== illegal.length)
          round.fail(`porcupine finds ${theirs.length} illegal, and not ${illegal.length}`);
      }
      round.figure('operations', asked);
      round.figure('missions', stories.length);
      round.figure(
        'unknown',
        stories.flatMap(({ operations }) => operations).filter(({ answer }) => answer === null).length,
      );
      round.figure('fewest_per_mission', Math.min(...stories.map((story) => story.asked)));
      round.figure('checked_by', 'missing' in porcupine ? 'own checker' : 'own checker and porcupine');
    } finally {
      await endOf(log);
    }
  });
});
