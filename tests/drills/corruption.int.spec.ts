// Damage to the log, and to what is stored about it, with the server stopped and while it runs: it is found before
// anything is written, or it is none.
//
//   X1. What is damaged is a log of several blocks, as a server left it that was stopped, or killed.
//   X2. Found: nothing is written, the reason is told, and the server's last sequence stays what it was.
//   X3. Not found: then every message is what it was, byte for byte, and the next one has the sequence after the last.
//   X4. A stream that is another, and a checkpoint that was changed, are found always.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { headers as newHeaders } from '@nats-io/nats-core';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { EventStream, incarnationOf, newId, streamName, type Checkpoint, type LogMessage } from '@nexusmon/event-log';
import { RequestMux } from '@nexusmon/messaging';
import { add, createStream, fill, NatsServer, openLog, tally } from '../../libs/platform/event-log/src/log.fixture.js';
import { drill, type Round } from '../support/drill.js';

const ROOT = join(import.meta.dirname, '../..');
const NAME = streamName(0);
const STORE = `js/jetstream/$G/streams/${NAME}`;
const BALLAST_BYTES = 180_000;
const DIST = 'libs/platform/event-log/dist';

type Told = Readonly<{ written?: number; refused?: string; reason?: string }>;
type Stored = Readonly<{ created: string; last: number; messages: readonly string[] }>;
type Kind = Readonly<{
  name: string;
  /** To the files of a stopped server, or of one that runs. */
  files?: (folder: string, random: Round['random']) => void;
  /** To a server that runs. */
  stream?: (server: NatsServer, stored: Stored) => Promise<void>;
  checkpoint?: (checkpoint: Checkpoint, stored: Stored) => Checkpoint;
  /** X4 */
  always?: true;
}>;

const under = (random: Round['random'], below: number): number => Math.floor(random() * below);
const oneOf = <Value>(random: Round['random'], values: readonly Value[]): Value => {
  const value = values[under(random, values.length)];
  if (value === undefined) throw new RangeError('there is nothing to choose from');
  return value;
};

const filesOf = (folder: string, pattern: RegExp): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

const flip = (path: string, random: Round['random']): void => {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  const at = under(random, bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << under(random, 8));
  writeFileSync(path, bytes);
};

const flipIn = (name: string, pattern: RegExp): Kind => ({
  name,
  files: (folder, random) => {
    const paths = filesOf(join(folder, STORE), pattern);
    if (paths.length > 0) flip(oneOf(random, paths), random);
  },
});

/** What only whoever reads the log comes upon. */
const READING = /has no message|not a commit|does not follow|is of another/;
const BLOCK = /\.blk$/;
const KINDS: readonly Kind[] = [
  flipIn('a bit of a block', BLOCK),
  flipIn('another bit of a block', BLOCK),
  flipIn('a bit of an index', /\.(db|idx|fss|dmap)$/),
  flipIn('a bit of the meta data', /^meta\.(inf|sum)$/),
  {
    name: 'a block cut short',
    files: (folder, random) => {
      const path = oneOf(random, filesOf(join(folder, STORE), BLOCK));
      truncateSync(path, under(random, statSync(path).size));
    },
  },
  {
    name: 'a block deleted',
    files: (folder, random) => rmSync(oneOf(random, filesOf(join(folder, STORE), BLOCK))),
  },
  {
    name: 'an old copy put back',
    files: (folder) => {
      rmSync(join(folder, 'js'), { recursive: true });
      cpSync(join(folder, 'older'), join(folder, 'js'), { recursive: true });
    },
    always: true,
  },
  { name: 'the store gone', files: (folder) => rmSync(join(folder, 'js'), { recursive: true }), always: true },
  {
    name: 'the stream made anew, with all its messages',
    stream: (server, stored) => recreate(server, stored),
    always: true,
  },
  {
    name: 'a checkpoint ahead of the log',
    checkpoint: (checkpoint, { last }) => ({ ...checkpoint, sequence: last + 1 }),
    always: true,
  },
  {
    name: 'a checkpoint set back',
    checkpoint: (checkpoint) => ({ ...checkpoint, sequence: checkpoint.sequence - 1 }),
    always: true,
  },
  {
    name: 'a checkpoint of another stream',
    checkpoint: (checkpoint) => ({ ...checkpoint, incarnation: '0123456789ab' }),
    always: true,
  },
  {
    name: 'a checkpoint of another commit',
    checkpoint: (checkpoint) => ({
      ...checkpoint,
      hash: checkpoint.hash.replace(/^./, (one) => (one === '0' ? '1' : '0')),
    }),
    always: true,
  },
];

/** What shows each broken rule; of other damage it knows as much as the whole build does. */
const ANOTHER = 'checkpoints of another stream taken for ones of this';
const UNCOMPARED = 'checkpoints that nobody compares with the log';
const UNREAD = 'a log that is written to before it has been read';
const UNREAD_AGAIN = 'a log that is not read again when its server was started again';
const SHOWN_BY: Readonly<Record<string, RegExp>> = {
  [ANOTHER]: /anew/,
  [UNCOMPARED]: /old copy/,
  [UNREAD]: /bit of a block/,
  [UNREAD_AGAIN]: /bit of a block/,
};

const asAdmin = async <Value>(
  server: NatsServer,
  work: (connection: Awaited<ReturnType<typeof connect>>) => Promise<Value>,
): Promise<Value> => {
  const connection = await connect({ servers: server.url });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
};

/** A busy machine answers late. */
const TRIES_MAX = 10;
const patiently = async <Value>(ask: () => Promise<Value>): Promise<Value> => {
  for (let tries = 1; ; tries += 1)
    try {
      return await ask();
    } catch (error) {
      if (tries >= TRIES_MAX) throw error;
    }
};

const textOf = ({ subject, headers, data }: LogMessage): string =>
  JSON.stringify([subject, [...(headers ?? [])], Buffer.from(data).toString('base64')]);

const lastOf = (server: NatsServer): Promise<number | undefined> =>
  asAdmin(server, async (connection) => {
    const manager = await jetstreamManager(connection);
    for await (const { config, state } of manager.streams.list()) if (config.name === NAME) return state.last_seq;
    return undefined;
  });

/** Everything in the stream as the server gives it; undefined where there is none. */
const readAll = (server: NatsServer): Promise<Stored | undefined> =>
  asAdmin(server, async (connection) => {
    const manager = await jetstreamManager(connection);
    for await (const name of manager.streams.names()) {
      if (name !== NAME) continue;
      const stream = new EventStream(new RequestMux(connection, '_INBOX_spec'), 0, NAME);
      const { created, state } = await patiently(() => stream.info());
      const messages: string[] = [];
      for (let sequence = 1; sequence <= state.last_seq; sequence += 1) {
        const message = await patiently(() => stream.at(sequence));
        messages.push(message ? textOf(message) : 'missing');
      }
      return { created, last: state.last_seq, messages };
    }
    return undefined;
  });

const recreate = (server: NatsServer, { messages }: Stored): Promise<void> =>
  asAdmin(server, async (connection) => {
    await (await jetstreamManager(connection)).streams.delete(NAME);
    await createStream(server);
    // In their order, and without waiting for each.
    const published = messages.map((message) => {
      const [subject, fields, data] = JSON.parse(message) as [string, [string, string[]][], string];
      const headers = newHeaders();
      for (const [name, values] of fields) for (const value of values) headers.append(name, value);
      return jetstream(connection).publish(subject, Buffer.from(data, 'base64'), { headers });
    });
    await Promise.all(published);
  });

/** The process that comes up on the log. */
class Judge {
  private readonly child: ChildProcess;

  constructor(broken: Round['broken']) {
    this.child = fork(join(ROOT, 'tests/support/log-judge.mjs'), {
      env: {
        ...process.env,
        ...(broken
          ? {
              NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, 'tests/support/broken-build.mjs')).href}`,
              NEXUSMON_TEST_BROKEN: JSON.stringify(broken),
            }
          : { NODE_OPTIONS: '' }),
      },
      execArgv: [],
    });
  }

  async ask(work: 'start' | 'write' | 'end', job: object = {}): Promise<Told> {
    const answer = once(this.child, 'message') as Promise<[Told]>;
    this.child.send({ work, ...job });
    return (await answer)[0];
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

describe('a log that is damaged', () => {
  let server: NatsServer;
  let whole: Stored;
  let checkpoint: Checkpoint;

  beforeAll(async () => {
    server = await NatsServer.start();
    await createStream(server);
    const { log, close } = await openLog(server);
    await log.start();
    const ids = Array.from({ length: 12 }, () => newId('msn'));
    let reached = 0;
    for (let round = 0; round < 9; round += 1) {
      for (const [index, id] of ids.entries())
        await log.execute(tally, id, index % 2 === 0 ? add(round + 1) : fill(BALLAST_BYTES));
      reached += ids.length;
      if (round !== 6) continue;
      await server.terminate();
      cpSync(join(server.folder, 'js'), join(server.folder, 'older'), { recursive: true });
      await server.run();
    }
    await close();
    const stored = await readAll(server);
    if (stored?.last !== reached || stored.messages.includes('missing')) throw new Error('the log could not be made');
    whole = stored;
    const { StoredCommit } = await import('../../libs/platform/event-log/src/commit.js');
    const last = await asAdmin(server, (connection) =>
      new EventStream(new RequestMux(connection, '_INBOX_spec'), 0, NAME).at(reached),
    );
    if (!last) throw new Error('the log has no end');
    const incarnation = incarnationOf(NAME, whole.created);
    checkpoint = { name: 'drill', stream: NAME, incarnation, sequence: reached, hash: new StoredCommit(last).hash };
    for (const [way, end] of [
      ['stopped', () => server.terminate()],
      ['killed', () => server.kill()],
    ] as const) {
      await end();
      cpSync(join(server.folder, 'js'), join(server.folder, way), { recursive: true });
      await server.run();
    }
    await server.kill();
  }, 120_000);
  afterAll(() => server.stop());

  const bring = (way: string): void => {
    rmSync(join(server.folder, 'js'), { recursive: true, force: true });
    cpSync(join(server.folder, way), join(server.folder, 'js'), { recursive: true });
  };

  /** As a start of the product does: what is not there is made. */
  const runAgain = async (): Promise<void> => {
    await server.run();
    if (!existsSync(join(server.folder, STORE)) || (await lastOf(server)) === undefined) await createStream(server);
  };

  const injure = async ({ files, stream, checkpoint: change }: Kind, runs: boolean, random: Round['random']) => {
    if (stream) {
      if (!runs) await server.run();
      await stream(server, whole);
    }
    files?.(server.folder, random);
    return change ? change(checkpoint, whole) : checkpoint;
  };

  const round = async (
    judge: Judge,
    kind: Kind,
    { random, broken }: Pick<Round, 'random' | 'broken'>,
  ): Promise<string> => {
    const [way, runs] = [
      random() < 0.5 ? 'stopped' : 'killed',
      broken ? broken.rule === UNREAD_AGAIN : random() < 0.3 && !kind.checkpoint,
    ];
    bring(way);
    let acknowledged = whole.last;
    let told: Told;
    const job = { port: server.port, monitor_port: server.monitor_port };
    if (runs) {
      await server.run();
      const { written } = await judge.ask('start', { ...job, checkpoints: [checkpoint] });
      if (written !== whole.last + 1) return `FAILED: a whole log was not written to`;
      acknowledged = written;
      await injure(kind, runs, random);
      // One that ends in order writes down what it believes of its files, and believes it afterwards.
      await (way === 'stopped' ? server.terminate() : server.kill());
      await runAgain();
      told = await judge.ask('write');
    } else {
      const checkpoints = [await injure(kind, runs, random)];
      if (kind.stream) await server.kill();
      await runAgain();
      const before = await lastOf(server);
      told = await judge.ask('start', { ...job, checkpoints });
      const after = await lastOf(server);
      if (told.refused && before !== after) return `FAILED: refused, and ${before} became ${after}`;
    }
    await judge.ask('end');
    const now = told.refused === undefined ? await readAll(server) : undefined;
    await server.kill();
    return verdict(kind, told, acknowledged, now);
  };

  /** X2, X3, X4 */
  const verdict = ({ always }: Kind, told: Told, acknowledged: number, now: Stored | undefined): string => {
    if (told.refused === 'LogReadOnly') return READING.test(told.reason ?? '') ? 'found by reading' : 'found at once';
    if (told.refused !== undefined) return `FAILED: refused as ${told.refused}: ${told.reason}`;
    if (always) return `FAILED: written as ${told.written} into another log than was known`;
    if (told.written !== acknowledged + 1) return `FAILED: ${told.written} was written after ${acknowledged}`;
    const same = whole.messages.every((message, index) => now?.messages[index] === message);
    return same ? 'harmless' : 'FAILED: written to a log that has lost or changed a message';
  };

  const P9 = {
    promise: 'P9',
    title: 'damage to the log or to a checkpoint is found before anything is written, and no sequence is given twice',
    rounds: { test: 13, drill: 300 },
    minutes: { test: 4, drill: 30 },
    broken: [
      {
        ...{
          rule: ANOTHER,
          rounds: 1,
          file: `${DIST}/start-checks.js`,
        },
        ...{ find: 'if (incarnation !== incarnationOf(stream.name, info.created))', replace: 'if (false)' },
      },
      {
        ...{ rule: UNCOMPARED, rounds: 1, file: `${DIST}/event-log.js` },
        ...{ find: 'checkpointFaults(checkpoints, this.streams)\n        ]', replace: '[]\n        ]' },
      },
      {
        ...{ rule: UNREAD, rounds: 6, file: `${DIST}/event-log.js` },
        ...{ find: 'this.unread = read?.()', replace: 'void read?.()' },
      },
      {
        ...{ rule: UNREAD_AGAIN, rounds: 6, file: `${DIST}/event-log.js` },
        ...{ find: 'await this.read?.()', replace: 'void this.read' },
      },
    ],
  };
  drill(P9, async ({ broken, n, random, fail, figure }) => {
    const shown_by = SHOWN_BY[broken?.rule ?? ''] ?? /./;
    const kinds = KINDS.filter(({ name }) => shown_by.test(name));
    const judge = new Judge(broken);
    const counts: Record<string, number> = {};
    try {
      for (let injected = 0; injected < n; injected += 1) {
        const kind = kinds[injected % kinds.length];
        if (!kind) throw new RangeError('no kind');
        const said = await round(judge, kind, { random, broken });
        if (said.startsWith('FAILED')) fail(`${kind.name} (${injected}): ${said}`);
        else {
          counts[said] = (counts[said] ?? 0) + 1;
          counts[`${said}: ${kind.name}`] = (counts[`${said}: ${kind.name}`] ?? 0) + 1;
        }
      }
    } finally {
      for (const [name, count] of Object.entries(counts)) figure(name, count);
      await judge.close();
      await server.kill();
    }
  });
});
