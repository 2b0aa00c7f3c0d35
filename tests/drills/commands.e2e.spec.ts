// What commands do to a mission when many clients give them at once, and processes die, stand still and lose each other
// meanwhile.

import { afterAll, describe } from '@jest/globals';
import { pick } from '../support/asking.js';
import { drill } from '../support/drill.js';
import { commitsOf } from '../support/folds.js';
import { kill, strikeOn } from '../support/faults.js';
import { Clerk } from '../support/clerk.js';
import { answered, MISSIONS, send, type Keyed } from '../support/keyed.js';
import { illegalAmong } from '../support/linearizability.js';
import { bodyOf, KINDS, lifeOf } from '../support/mission-life.js';
import { CLIENTS_PER_MISSION, Story } from '../support/mission-story.js';
import { startOverOutsideLog, type OutsideLog } from '../support/outside-log.js';
import { openPorcupine } from '../support/porcupine.js';
import { eventually, isEnded, type BrokenBuild } from '../support/product.js';

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

/** How often each event of a mission stands in the log, for those whose tag begins so. */
const eventsOf = async ({ product }: OutsideLog, tag: string) => {
  const found = new Map<string, { name: string; events: Record<string, number> }>();
  for await (const commit of commitsOf(product.data_dir, await product.run()))
    for (const { type, subject, data } of commit) {
      const event = type.split('.').at(-2) ?? '';
      const [name = ''] = event === 'MissionCreated' ? (data['tags'] as string[]) : [];
      if (name.startsWith(tag) && !found.has(subject)) found.set(subject, { name, events: {} });
      const events = found.get(subject)?.events;
      if (events) events[event] = (events[event] ?? 0) + 1;
    }
  return found;
};

describe('many clients', () => {
  const P4 = {
    promise: 'P4',
    title: 'commands on one mission are linearizable',
    rounds: { test: 200, drill: 50_000 },
    minutes: { test: 5, drill: 60 },
    broken: [
      {
        rule: 'a completed mission that can be cancelled',
        file: 'libs/mission/domain/dist/mission.js',
        find: `if (state.status === 'completed' || state.status === 'failed') return reject(illegalTransition(state));`,
        replace: '',
        rounds: 150,
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

  const P7 = {
    promise: 'P7',
    title: 'a commit whose acknowledgement is lost is found, and done once',
    rounds: { test: 200, drill: 20_000 },
    minutes: { test: 5, drill: 30 },
    broken: [
      {
        rule: 'what is not acknowledged is sent again without looking',
        file: 'libs/platform/event-log/dist/append.js',
        find: 'const found = await untilAnswered(()=>stream.next(subject, expected + 1), deadline_ms);',
        replace: `headers.delete('Nats-Expected-Last-Subject-Sequence'); const found = undefined;`,
        rounds: 100,
      },
    ],
  };
  drill(P7, async (round) => {
    const log = await startOf(round.broken);
    try {
      const operator = await log.product.operator();
      const tag = `p7-${round.seed}-`;
      const lost_before = log.line.lost_acks;
      const tries: Record<string, number> = {};
      let commands = 0;
      const give = async (command: Keyed, status: number): Promise<Record<string, unknown>> => {
        commands += 1;
        const said = await answered(operator, command, (why) => (tries[why] = (tries[why] ?? 0) + 1));
        if (said.status !== status)
          round.fail(`${command.path} ${command.key}: ${said.status} ${JSON.stringify(said.body)}`);
        return said.body;
      };
      const wanted = new Map<string, { mission_id: string; verb: string }>();
      log.line.loseAcks(0.2, round.random);
      let begun = 0;
      const client = async (): Promise<void> => {
        for (let index = (begun += 1); index * 2 <= round.n; index = begun += 1) {
          const name = `${tag}${index}`;
          const { mission_id } = await give({ key: name, path: MISSIONS, body: bodyOf('held', name) }, 201);
          const verb = round.random() < 0.2 ? 'run' : 'cancel';
          wanted.set(name, { mission_id: String(mission_id), verb });
          await give({ key: name, path: `${MISSIONS}/${String(mission_id)}/${verb}`, body: {} }, 200);
        }
      };
      await Promise.all(Array.from({ length: 4 * CLIENTS }, client));
      for (const { mission_id, verb } of wanted.values()) if (verb === 'run') await operator.until(mission_id, isEnded);
      log.line.heal();

      const found = await eventsOf(log, tag);
      for (const [mission_id, { name, events }] of found) {
        const { verb } = wanted.get(name) ?? {};
        const once = verb === 'run' ? ['MissionQueued', 'TaskCompleted', 'MissionCompleted'] : ['MissionCancelled'];
        const never = verb === 'run' ? ['MissionCancelled'] : ['MissionQueued'];
        const right =
          wanted.get(name)?.mission_id === mission_id &&
          ['MissionCreated', ...once].every((event) => events[event] === 1) &&
          never.every((event) => events[event] === undefined);
        if (!right) round.fail(`${name} ${verb}: ${mission_id} ${JSON.stringify(events)}`);
      }
      if (found.size !== wanted.size) round.fail(`${wanted.size} missions were answered, ${found.size} are in the log`);
      round.figure('commands', commands);
      round.figure('lost_acknowledgements', log.line.lost_acks - lost_before);
      round.figure('sent_again', JSON.stringify(tries));
    } finally {
      await endOf(log);
    }
  });

  const P8 = {
    promise: 'P8',
    title: 'the same key and body are the same command, however often and whatever dies between',
    rounds: { test: 40, drill: 2_000 },
    minutes: { test: 5, drill: 30 },
    broken: [
      {
        rule: 'commands that are not remembered',
        file: 'libs/platform/event-log/dist/seen-commands.js',
        find: `if (digest === undefined) return 'unseen';`,
        replace: `return 'unseen';`,
        rounds: 20,
      },
    ],
  };
  drill(P8, async (round) => {
    const log = await startOf(round.broken);
    try {
      const operator = await log.product.operator();
      const tag = `p8-${round.seed}-`;
      const clerk = new Clerk(operator, round);
      let [begun, ended]: [number, number | undefined] = [0, 0];
      const client = async (): Promise<void> => {
        for (let index = (begun += 1); index <= round.n; index = begun += 1) {
          await clerk.story(pick(KINDS, round.random), `${tag}${index}`);
          if (ended !== undefined) ended += 1;
        }
      };
      const clients = Promise.all(Array.from({ length: 8 }, client)).finally(() => (ended = undefined));
      const struck = strikeOn(log, () => ended, round, {
        faults: [kill('standalone')],
        apart: Math.max(15, round.n / 40),
      });
      await Promise.all([clients, struck]);
      await untilReady(log);

      const once = ['MissionCreated', 'MissionApproved', 'MissionQueued', 'MissionCancelled', 'MissionCompleted'];
      const found = await eventsOf(log, tag);
      for (const [mission_id, { name, events }] of found)
        if (once.some((event) => (events[event] ?? 0) > 1) || clerk.missions.get(name) !== mission_id)
          round.fail(`${name}: ${mission_id} ${JSON.stringify(events)}`);
      if (found.size !== clerk.missions.size)
        round.fail(`${clerk.missions.size} missions were answered, ${found.size} are in the log`);
      round.figure('commands', clerk.commands);
      round.figure('requests', clerk.requests);
      round.figure('in_flight', clerk.in_flight);
    } finally {
      await endOf(log);
    }
  });

  const P6b = {
    promise: 'P6b',
    title: 'what cannot be written now is refused in time with Retry-After, and done once when it is sent again',
    rounds: { test: 40, drill: 500 },
    minutes: { test: 3, drill: 10 },
  };
  drill(P6b, async (round) => {
    const log = await startOf(round.broken);
    try {
      const operator = await log.product.operator();
      const tag = `p6b-${round.seed}-`;
      const commands = Array.from({ length: round.n }, (_, index): Keyed => {
        const key = `${tag}${index}`;
        return { key, path: MISSIONS, body: bodyOf('held', key) };
      });
      process.kill(log.nats.pid, 'SIGSTOP');
      const since = performance.now();
      const refused = await Promise.all(commands.map((command) => send(operator, command)));
      const seconds = (performance.now() - since) / 1_000;
      process.kill(log.nats.pid, 'SIGCONT');
      for (const [index, told] of refused.entries()) {
        const right = typeof told === 'object' && [429, 503].includes(told.status) && told.headers.get('retry-after');
        if (!right) round.fail(`${index}: ${typeof told === 'object' ? JSON.stringify(told.body) : told}`);
      }
      const done = await Promise.all(commands.map((command) => answered(operator, command)));
      const missions = new Set(done.map(({ body }) => body['mission_id']));
      if (done.some(({ status }) => status !== 201) || missions.size !== round.n)
        round.fail(`${missions.size} missions of ${round.n}`);
      const found = await eventsOf(log, tag);
      for (const { name, events } of found.values())
        if (events['MissionCreated'] !== 1) round.fail(`${name}: ${JSON.stringify(events)}`);
      if (found.size !== round.n) round.fail(`${round.n} missions were answered, ${found.size} are in the log`);
      round.figure('slowest_refusal_seconds', Number(seconds.toFixed(1)));
    } finally {
      await endOf(log);
    }
  });
});
