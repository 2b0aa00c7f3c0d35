// The log under several writers and a server that dies: who wins, and what of a decision is there afterwards.

import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { newId, type Identified } from '@nexusmon/event-log';
import { append, untilAnswered, type Proposal } from '../../libs/platform/event-log/src/append.js';
import { writeHeaders } from '../../libs/platform/event-log/src/commit.js';
import { CommitTooLarge, LogReadOnly, LogUnavailable } from '../../libs/platform/event-log/src/errors.js';
import { EventStream } from '../../libs/platform/event-log/src/event-stream.js';
import {
  add,
  allCommits,
  createStream,
  fill,
  keyringInMemory,
  NatsServer,
  openLog,
  tally,
  type Opened,
  type TallyCommand,
} from '../../libs/platform/event-log/src/log.fixture.js';
import { streamName, subjectOf } from '../../libs/platform/event-log/src/names.js';
import { pick } from '../support/asking.js';
import { drill } from '../support/drill.js';
import { NatsLine } from '../support/nats-line.js';

const WRITERS = 4;

let server: NatsServer;
let line: NatsLine;
const writers: Opened[] = [];

beforeAll(async () => {
  server = await NatsServer.start();
  await createStream(server);
  line = await NatsLine.before(server.port);
  const keyring = keyringInMemory();
  // Half of them are behind a line that can be cut and loses what it is told to.
  for (let writer = 0; writer < WRITERS; writer += 1)
    writers.push(await openLog(server, { keyring, ...(writer % 2 === 0 ? { port: line.port } : {}) }));
  for (const { log } of writers) await log.start();
}, 60_000);
afterAll(async () => {
  await Promise.all(writers.map(({ close }) => close()));
  await line.close();
  await server.stop();
});

describe('several writers of one aggregate', () => {
  const PARALLEL = 64;
  /** In one round of so many a fifth of the acknowledgements is lost, which costs a time-out each. */
  const LOSSY = 50;
  const DEADLINE_MS = 20_000;
  const ports = { ready: () => Promise.resolve(), stalled: () => Promise.resolve(undefined) };

  const proposalOf = (subject: string, expected: number): Proposal => {
    const command_id = newId('cmd');
    const headers = writeHeaders({
      ...{ stream: streamName(0), expected, commands: [{ command_id }] },
      ...{ previous: '', state: '-', key_id: undefined },
    });
    return { subject, expected, headers, body: Buffer.from(JSON.stringify([command_id])) };
  };

  const P5 = {
    promise: 'P5',
    title: 'of commits that expect the same, one is there, and every other is told that it is not',
    rounds: { test: 30, drill: 2_000 },
    minutes: { test: 2, drill: 30 },
  };
  drill(P5, async ({ n, random, fail, figure }) => {
    const streams = writers.map(({ mux }) => new EventStream(mux, 0, streamName(0)));
    const subject = subjectOf('mission', 'tally', newId('tly'));
    const before = line.lost_acks;
    let expected = 0;
    for (let round = 1; round <= n; round += 1) {
      if (round % LOSSY === LOSSY / 2) line.loseAcks(0.2, random);
      const deadline_ms = performance.now() + DEADLINE_MS;
      const proposals = Array.from({ length: PARALLEL }, () => proposalOf(subject, expected));
      const outcomes = await Promise.all(
        proposals.map((proposal, index) => append(streams[index % WRITERS]!, proposal, deadline_ms, ports)),
      );
      line.heal();
      const last = await untilAnswered(() => streams[0]!.last(subject), deadline_ms);
      const won = outcomes.flatMap((outcome, index) => (outcome.kind === 'appended' ? [{ ...outcome, index }] : []));
      const there = won.filter(
        ({ sequence, index }) =>
          last !== undefined && sequence === last.seq && Buffer.compare(proposals[index]!.body, last.data) === 0,
      );
      if (won.length !== 1 || there.length !== 1)
        fail(`round ${round}: ${won.length} of ${PARALLEL} were told that they won, ${there.length} of them have`);
      expected = last?.seq ?? 0;
    }
    figure('commits_tried', n * PARALLEL);
    figure('lost_acknowledgements', line.lost_acks - before);
  });
});

describe('a decision of several events', () => {
  const AT_ONCE = 500;
  const AGGREGATES = 50;
  const EVENTS_MAX = 40;
  const OVERSIZED_BYTES = 300_000;

  const P6 = {
    promise: 'P6',
    title: 'is there as a whole or not at all, whatever dies while it is written',
    rounds: { test: 500, drill: 5_000 },
    minutes: { test: 2, drill: 30 },
  };
  drill(P6, async ({ n, random, fail, figure }) => {
    const ids = Array.from({ length: AGGREGATES }, () => newId('tly'));
    /** By its number, which every event of it bears: how many events it has, and whether it was answered. */
    const decisions = new Map<number, { events: number; answered: boolean }>();
    const counts = { kills: 0, cuts: 0, oversized: 0, unknown: 0 };
    let [next, active] = [0, true];

    const oversized = async (writer: Opened, id: string): Promise<void> => {
      counts.oversized += 1;
      try {
        await writer.log.execute(tally, id, fill(OVERSIZED_BYTES));
        fail('a commit that is too large was taken');
      } catch (error) {
        if (!(error instanceof CommitTooLarge) && !(error instanceof LogUnavailable)) throw error;
      }
    };
    const decide = async (writer: Opened, id: string): Promise<void> => {
      const number = (next += 1);
      const decision = { events: 1 + Math.floor(random() * EVENTS_MAX), answered: false };
      decisions.set(number, decision);
      const command: Identified<TallyCommand> = add(number, {}, { events: decision.events });
      while (!decision.answered)
        try {
          await writer.log.execute(tally, id, command);
          decision.answered = true;
        } catch (error) {
          if (!(error instanceof LogUnavailable)) throw error;
          counts.unknown += 1;
        }
    };
    const client = async (): Promise<void> => {
      while (next < n) {
        const [writer, id] = [pick(writers, random), pick(ids, random)];
        await (random() < 0.02 ? oversized(writer, id) : decide(writer, id));
      }
    };
    const striker = async (): Promise<void> => {
      for (let goal = 100; active; goal = next + Math.max(100, n / 30)) {
        while (active && next < goal) await pause(2);
        if (random() < 0.5) {
          counts.cuts += 1;
          line.sever();
        } else {
          counts.kills += 1;
          await server.kill();
          await server.run();
        }
      }
    };
    const clients = Promise.all(Array.from({ length: AT_ONCE }, client)).finally(() => (active = false));
    await Promise.all([clients, striker()]);

    const found = new Map<number, number[]>();
    const own = new Set(ids);
    for (const commit of await allCommits(writers[1]!)) {
      if (!own.has(commit.id)) continue;
      const here = new Map<number, number>();
      for (const { data } of commit.stored) {
        const { by } = data as { by: number };
        here.set(by, (here.get(by) ?? 0) + 1);
      }
      for (const [number, events] of here) found.set(number, [...(found.get(number) ?? []), events]);
    }
    for (const [number, { events, answered }] of decisions) {
      const commits = found.get(number) ?? [];
      const right = commits.length === 1 ? commits[0] === events : commits.length === 0 && !answered;
      if (!right)
        fail(`decision ${number} of ${events} events, answered: ${answered}, is there as ${JSON.stringify(commits)}`);
    }
    figure('decisions', decisions.size);
    for (const [name, count] of Object.entries(counts)) figure(name, count);
  });
});

describe('a log that may lose what it has acknowledged', () => {
  type Unsafe = Readonly<{ name: string; sync?: '2m'; stream?: object; silent?: boolean; reason: RegExp }>;
  const UNSAFE: readonly Unsafe[] = [
    { name: 'synced every two minutes', sync: '2m', reason: /sync_interval must be always/ },
    { name: 'kept in memory', stream: { storage: 'memory' }, reason: /has storage "memory"/ },
    { name: 'acknowledged before it is written', stream: { persist_mode: 'async' }, reason: /persist_mode "async"/ },
    { name: 'on a server that does not say', silent: true, reason: /nobody can say whether it syncs/ },
  ];

  const P3 = {
    promise: 'P3',
    title: 'is not written, and says why',
    rounds: { test: UNSAFE.length, drill: UNSAFE.length },
    minutes: { test: 2, drill: 2 },
  };
  drill(P3, async ({ n, fail, figure }) => {
    const refused: string[] = [];
    for (const { name, sync, stream = {}, silent, reason } of UNSAFE.slice(0, n)) {
      const unsafe = await NatsServer.start(sync);
      await createStream(unsafe, stream);
      const { log, close } = await openLog(unsafe, silent ? { monitor: undefined } : {});
      const status = await log.start();
      const told = status.writable ? 'it is written' : status.reason;
      const written = await log.execute(tally, newId('tly'), add(1)).then(
        () => true,
        (error: unknown) => !(error instanceof LogReadOnly),
      );
      if (written || !reason.test(told)) fail(`${name}: ${told}`);
      else refused.push(name);
      await close();
      await unsafe.stop();
    }
    figure('refused', refused.join(', '));
  });
});
