// The command line as it is typed: its real program, as a process, against the whole product.

import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument } from '@nexusmon/vault-contract';
import { EventSource } from './support/event-source.js';
import { eventually, Product, type Client, type Problem } from './support/product.js';

const PROGRAM = resolve(import.meta.dirname, '../apps/cli/nexusmon.mjs');
const BUSY_LOOP = resolve(import.meta.dirname, 'support/busy-loop.mjs');
const ECHO = JSON.stringify([{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }]);
const NOWHERE = 'http://127.0.0.1:1';
/** As many event streams as one credential may have, where nothing else is set. */
const STREAMS_PER_CREDENTIAL = 5;
const SHIFTED = '\u001b[2J\u009b31m\u202e';

type Ended = Readonly<{ exit: number | null; out: string; err: string }>;
type Options = Readonly<{ env?: NodeJS.ProcessEnv; input?: string; cwd?: string }>;

let folder: string;
let product: Product;
let operator: Client;

class Command {
  out = '';
  err = '';
  private readonly ended: Promise<unknown[]>;

  private constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.ended = once(child, 'close');
  }

  static start(words: readonly string[], { env = {}, input, cwd = folder }: Options = {}): Command {
    const { NEXUSMON_DATA, NEXUSMON_TOKEN, OPERATOR_KEY, ...clean } = process.env;
    void [NEXUSMON_DATA, NEXUSMON_TOKEN, OPERATOR_KEY];
    const child = spawn(process.execPath, [PROGRAM, ...words], { cwd, env: { ...clean, NODE_OPTIONS: '', ...env } });
    child.stdin.end(input ?? '');
    return new Command(child);
  }

  async end(): Promise<Ended> {
    const [exit] = await this.ended;
    return { exit: exit as number | null, out: this.out, err: this.err };
  }
}

/** On the product's data folder, which is where a person would stand. */
const nexusmon = (...words: string[]): Promise<Ended> => given({}, ...words);
const given = ({ env, ...options }: Options, ...words: string[]): Promise<Ended> =>
  Command.start(words, { ...options, env: { NEXUSMON_DATA: product.data_dir, ...env } }).end();

const json = async <Body>(...words: string[]): Promise<Body> => {
  const { exit, out, err } = await nexusmon('--json', ...words);
  expect([exit, err]).toEqual([0, '']);
  return JSON.parse(out) as Body;
};

const created = async (...words: string[]): Promise<string> =>
  (await json<MissionDocument>('mission', 'create', ...words)).mission_id;

const gated = async (): Promise<string> => {
  const plan = join(folder, 'plan.json');
  await writeFile(plan, ECHO);
  return created('--goal', 'Ask first', '--rank', 'A', '--plan', plan);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nexusmon-cli-'));
  await mkdir(join(folder, 'src'));
  await writeFile(join(folder, 'src', 'hello.py'), 'print("hello")\n');
  product = await Product.start({
    args: ['--separate'],
    cwd: folder,
    env: { NODE_OPTIONS: `--import ${pathToFileURL(BUSY_LOOP).href}`, NEXUSMON_TEST_BUSY: join(folder, 'busy') },
  });
  operator = await product.operator();
}, 300_000);

afterAll(async () => {
  await product.remove();
  await rm(folder, { recursive: true });
}, 60_000);

describe('a mission from the command line', () => {
  it('is created, waited for, listed at once and shown', async () => {
    const template = ['--template', 'repository-report', '--param', `path=${folder}`];
    const done = await nexusmon('mission', 'create', '--goal', 'Report', ...template, '--wait');
    expect(done).toMatchObject({ exit: 0, err: expect.stringMatching(/^created msn_/) as unknown });
    expect(done.out).toMatch(/^msn_\S+ {2}completed {2}rank [ED]\n {2}Report\n/);

    const held = await given({ input: ECHO }, '--json', 'mission', 'create', '--goal', 'Held', '--hold', '--plan', '-');
    const { mission_id: id, status } = JSON.parse(held.out) as MissionDocument;
    expect(status).toBe('accepted');
    const { data } = await json<Page<MissionDocument>>('mission', 'list', '--limit', '1');
    expect(data.map((mission) => mission.mission_id)).toEqual([id]);
    expect((await nexusmon('mission', 'show', id)).out).toContain(`next: nexusmon mission run ${id}`);

    expect((await nexusmon('mission', 'run', id)).exit).toBe(0);
    expect(await nexusmon('mission', 'watch', id)).toMatchObject({ exit: 0, err: `${id} completed\n` });
    const all = await json<Page<MissionDocument>>('mission', 'list', '--all', '--limit', '1', '--status', 'completed');
    expect(all).toMatchObject({ data: [{ mission_id: id }, {}], next_cursor: null });
  });

  it('is made once by one key', async () => {
    const words = ['--goal', 'Once', '--hold', '--idempotency-key', 'a-key'];
    expect(await created(...words)).toBe(await created(...words));
    expect((await nexusmon('mission', 'create', '--goal', 'Another', '--idempotency-key', 'a-key')).exit).toBe(5);
  });

  it('waits for a person at rank A, and tells those who watch how it went on', async () => {
    const mission_id = await gated();
    const waited = await nexusmon(
      'mission',
      'create',
      '--goal',
      'A',
      '--rank',
      'A',
      '--plan',
      join(folder, 'plan.json'),
      '--wait',
    );
    expect(waited.exit).toBe(7);
    expect((await nexusmon('approvals')).out).toContain(mission_id);

    const people = Command.start(['mission', 'watch', mission_id], { env: { NEXUSMON_DATA: product.data_dir } });
    const programs = Command.start(['--json', 'mission', 'watch', mission_id], {
      env: { NEXUSMON_DATA: product.data_dir },
    });
    await eventually(async () => people.out.includes('MissionGated') && programs.out.includes('MissionGated'));
    expect((await nexusmon('mission', 'approve', mission_id, '--reason', 'read it')).exit).toBe(0);
    const [told, machine] = await Promise.all([people.end(), programs.end()]);
    expect([told.exit, machine.exit]).toEqual([0, 0]);
    expect(told.out.split('\n').at(-2)).toMatch(/^\S+Z {2}MissionCompleted$/);
    const events = machine.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; type: string });
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expect(events.at(-1)?.type).toBe('nexusmon.mission.MissionCompleted.v1');
  });

  it('ends as it was ruled on', async () => {
    const [denied, cancelled] = [await gated(), await gated()];
    expect((await nexusmon('mission', 'deny', denied)).exit).toBe(2);
    expect((await nexusmon('mission', 'deny', denied, '--reason', 'no')).exit).toBe(0);
    expect((await nexusmon('mission', 'watch', denied)).exit).toBe(6);
    expect((await nexusmon('mission', 'cancel', cancelled)).exit).toBe(0);
    expect((await nexusmon('mission', 'watch', cancelled)).exit).toBe(1);
    const again = await nexusmon('mission', 'approve', denied);
    expect(again).toMatchObject({
      exit: 5,
      err: expect.stringContaining('it is cancelled; possible now: nothing') as unknown,
    });
  });

  it('never carries a command to the terminal', async () => {
    const mission_id = await created('--goal', `red ${SHIFTED}`, '--hold');
    const shown = await nexusmon('mission', 'show', mission_id);
    expect(shown.out).toContain('red \\u001b[2J\\u009b31m\\u202e');
    for (const { out } of [
      shown,
      await nexusmon('mission', 'list'),
      await nexusmon('--json', 'mission', 'show', mission_id),
    ])
      expect(out).not.toMatch(/[\u001b\u009b\u202e]/);
    const { goal } = await json<MissionDocument>('mission', 'show', mission_id);
    expect(goal).toBe(`red ${SHIFTED}`);
  });
});

describe('an artifact', () => {
  it('is fetched with its digest, and nothing is left of one that is wrong', async () => {
    const { data } = await json<Page<ArtifactDocument>>('artifact', 'list');
    const artifact = data.find(({ name }) => name.endsWith('report.md'));
    if (!artifact) throw new Error('there is no report');
    const file = join(folder, 'report.md');
    expect((await nexusmon('artifact', 'get', artifact.artifact_id, '-o', file)).exit).toBe(0);
    const bytes = await readFile(file);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(artifact.sha256);
    expect((await nexusmon('artifact', 'get', artifact.artifact_id)).out).toBe(bytes.toString());
    expect((await nexusmon('artifact', 'get', artifact.artifact_id, '-o', folder)).exit).toBe(1);

    // A gateway that hands out something else, which is what a damaged store or a proxy amounts to.
    const forged = createServer((request, response) => {
      const is_content = request.url?.endsWith('/content') === true;
      response.setHeader('content-type', is_content ? 'text/markdown' : 'application/json');
      response.end(is_content ? 'something else' : JSON.stringify(artifact));
    }).listen(0, '127.0.0.1');
    await once(forged, 'listening');
    const url = `http://127.0.0.1:${(forged.address() as AddressInfo).port}`;
    const env = { NEXUSMON_TOKEN: 'any' };
    const wrong = await given(
      { env },
      '--url',
      url,
      'artifact',
      'get',
      artifact.artifact_id,
      '-o',
      join(folder, 'wrong.md'),
    );
    forged.close();
    expect(wrong).toMatchObject({ exit: 1, err: expect.stringContaining('not those that were recorded') as unknown });
    expect((await readdir(folder)).filter((name) => name.includes('wrong'))).toEqual([]);
  });
});

describe('a file', () => {
  it('is uploaded, and fetched again as it was', async () => {
    const [file, back] = [join(folder, 'notes.bin'), join(folder, 'back.bin')];
    const bytes = randomBytes(9 * 1024 * 1024);
    await writeFile(file, bytes);
    const put = ['artifact', 'put', file, '--media-type', 'application/x-notes', '--idempotency-key', 'notes'];
    const artifact = await json<ArtifactDocument>(...put);
    expect(artifact).toMatchObject({ name: 'notes.bin', version: 1, media_type: 'application/x-notes' });
    expect((await json<ArtifactDocument>(...put)).artifact_id).toBe(artifact.artifact_id);
    await nexusmon('artifact', 'get', artifact.artifact_id, '-o', back);
    expect((await readFile(back)).equals(bytes)).toBe(true);
    const made = await json<ArtifactDocument>(
      ...['artifact', 'put', file, '--name', 'notes.bin', '--made-from', artifact.artifact_id],
    );
    expect(made).toMatchObject({ version: 2, inputs: [artifact.artifact_id] });
    const said = await nexusmon('artifact', 'put', file, '--name', 'other');
    expect(said.out).toMatch(/^art_\S+: version 1 of other, 9437184 bytes, SHA-256 [0-9a-f]{64}\n$/);
    expect((await nexusmon('artifact', 'put', folder)).exit).toBe(2);
    expect((await nexusmon('artifact', 'put', join(folder, 'none'))).exit).toBe(2);
  });
});

describe('whoever asks', () => {
  it('has a session of their own for each data folder', async () => {
    const other = join(folder, 'other', '.nexusmon');
    await mkdir(other, { recursive: true });
    await writeFile(join(other, 'run.json'), JSON.stringify(await product.run()));
    const below = join(folder, 'other', 'deep');
    await mkdir(below);
    const found = await Command.start(['status'], { cwd: below }).end();
    expect([found.exit, found.err]).toEqual([0, '']);
    const session = async (data_dir: string) => {
      const path = join(data_dir, 'cli', 'session.json');
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      return (JSON.parse(await readFile(path, 'utf8')) as { token: string }).token;
    };
    const [mine, theirs] = [await session(product.data_dir), await session(other)];
    expect(mine).not.toBe(theirs);
    // It is kept; what has become of it is put right once.
    await nexusmon('status');
    expect(await session(product.data_dir)).toBe(mine);
    await writeFile(join(other, 'cli', 'session.json'), '{"token":"stale","expires_at":"2999-01-01T00:00:00Z"}');
    expect((await Command.start(['status'], { cwd: below }).end()).exit).toBe(0);
    expect(await session(other)).not.toBe('stale');
  });

  it('comes with a token or the operator key to a gateway elsewhere, and leaves no session behind', async () => {
    const { gateway_url, operator_key_file } = await product.run();
    const key = (await readFile(operator_key_file, 'utf8')).trim();
    const open = async () => {
      const { body } = await operator.get<Page<{ status: string }>>('/v1/auth/sessions?limit=200');
      return body.data.filter(({ status }) => status === 'open').length;
    };
    const before = await open();
    const url = ['--url', gateway_url];
    expect((await given({ env: { OPERATOR_KEY: key } }, ...url, 'status')).exit).toBe(0);
    expect((await given({ input: `${key}\n` }, ...url, '--operator-key-stdin', 'status')).exit).toBe(0);
    await eventually(async () => (await open()) === before);
    const missing = await given({}, ...url, 'status');
    expect(missing).toMatchObject({ exit: 4, err: expect.stringContaining('OPERATOR_KEY') as unknown });
    expect((await given({ env: { NEXUSMON_TOKEN: 'wrong' } }, ...url, 'status')).exit).toBe(4);
  });
});

describe('what cannot be done', () => {
  const absent = 'msn_01a1f935-7846-72e6-91c6-385054e1faf3';

  const cases: readonly (readonly [what: string, words: readonly string[], exit: number])[] = [
    ['what is no command', ['bogus'], 2],
    ['an option that does not exist', ['status', '--secret', 'x'], 2],
    ['two places at once', ['--url', NOWHERE, '--data-dir', '.', 'status'], 2],
    ['a mission that is not there', ['mission', 'show', absent], 3],
    ['what is no id', ['mission', 'show', '\u001b[2J'], 3],
    ['an unknown template', ['mission', 'create', '--goal', 'g', '--template', 'none'], 2],
    ['a plan that is no JSON', ['mission', 'create', '--goal', 'g', '--plan', PROGRAM], 2],
    ['a plan that is not there', ['mission', 'create', '--goal', 'g', '--plan', '/nowhere'], 2],
    ['an unknown route', ['api', 'GET', '/v1/nothing'], 3],
    ['what is no path', ['api', 'GET', '//elsewhere.example/'], 2],
    ['a gateway that is not there', ['--url', NOWHERE, 'status'], 8],
    ['a folder on which nothing runs', ['--data-dir', '/nowhere', 'status'], 8],
  ];
  const outcomes = new Map<string, readonly [Ended, Ended]>();

  // All at once: each is a process, and none changes anything.
  beforeAll(async () => {
    const env = { NEXUSMON_TOKEN: 'x' };
    await Promise.all(
      cases.map(async ([what, words]) =>
        outcomes.set(what, await Promise.all([given({ env }, ...words), given({ env }, '--json', ...words)])),
      ),
    );
  });

  it.each(cases)('is told to people and to programs: %s', (what, _, exit) => {
    const [people, programs] = outcomes.get(what)!;
    expect([people.exit, people.out]).toEqual([exit, '']);
    expect(people.err).toMatch(/^nexusmon: /);
    expect(people.err).not.toMatch(/\u001b|\n\s+at /);
    expect([programs.exit, programs.err]).toEqual([exit, '']);
    const problem = JSON.parse(programs.out) as Problem;
    expect(problem).toMatchObject({ code: expect.any(String) as unknown, detail: expect.any(String) as unknown });
  });

  it('is not taken for a gateway what is none', async () => {
    const stranger = createServer((_, response) => response.writeHead(418).end('teapot')).listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
    const { exit, err } = await given({ env: { NEXUSMON_TOKEN: 'x' } }, '--url', url, 'status');
    stranger.close();
    expect([exit, err]).toEqual([8, expect.stringContaining('not a NEXUSMON gateway')]);
  });
});

describe('a command that is under way', () => {
  const watching = async (...words: string[]) => {
    const mission_id = await created('--goal', 'Wait', '--hold');
    const command = Command.start([...words, 'mission', 'watch', mission_id], {
      env: { NEXUSMON_DATA: product.data_dir },
    });
    await eventually(async () => command.out.includes('MissionHeld'));
    return command;
  };

  it('ends when it is told to, or when its time is over', async () => {
    const [interrupted, terminated, late] = await Promise.all([watching(), watching(), watching('--timeout', '2')]);
    interrupted.child.kill('SIGINT');
    terminated.child.kill('SIGTERM');
    const ends = await Promise.all([interrupted.end(), terminated.end(), late.end()]);
    expect(ends.map(({ exit }) => exit)).toEqual([130, 143, 124]);
  });

  it('ends quietly when nobody reads it', async () => {
    const command = await watching();
    command.child.stdout?.destroy();
    await nexusmon('mission', 'run', /msn_\S+/.exec(command.child.spawnargs.join(' '))?.[0] ?? '');
    expect(await command.end()).toMatchObject({ exit: 0, err: '' });
  });
});

describe('api', () => {
  it('sends what it is given and prints what is answered', async () => {
    await writeFile(join(folder, 'body.json'), JSON.stringify({ goal: 'By hand', hold: true }));
    const path = '/v1/engine/missions';
    const by_file = await nexusmon('api', 'post', path, '-d', `@${join(folder, 'body.json')}`);
    const { mission_id } = JSON.parse(by_file.out) as MissionDocument;
    const { out } = await nexusmon('api', 'GET', `${path}/${mission_id}`);
    expect(JSON.parse(out)).toMatchObject({ mission_id, status: 'accepted' });
    const by_input = await given({ input: '{"goal":"x","nonsense":1}' }, 'api', 'POST', path, '-d', '-');
    expect(by_input).toMatchObject({ exit: 2, out: '', err: expect.stringContaining('nonsense') as unknown });
    expect((await nexusmon('api', 'GET', '/ready')).out).toBe('yes\n');
  });
});

describe('a projection', () => {
  it('is built again and found the same', async () => {
    type Rebuilt = Readonly<{ name: string; rebuild: Readonly<Record<string, unknown>> }>;
    const one = await json<Rebuilt>('rebuild', 'mission.mission');
    expect(one).toMatchObject({ name: 'mission.mission', rebuild: { status: 'equal', swapped: true } });
    expect(one.rebuild['live_digest']).toBe(one.rebuild['rebuilt_digest']);
    const { data } = await json<Page<Rebuilt>>('rebuild', '--all', '--check');
    expect(data.length).toBeGreaterThan(3);
    expect(new Set(data.map(({ rebuild }) => `${String(rebuild['status'])} ${String(rebuild['swapped'])}`))).toEqual(
      new Set(['equal false']),
    );
    expect((await nexusmon('rebuild')).exit).toBe(2);
    expect((await nexusmon('rebuild', 'no.such')).exit).toBe(3);
  });
});

describe('doctor', () => {
  type Findings = Readonly<{
    status: string;
    wall_ms: number;
    mission: { created: { mission_id: string }; ran: { status: string } };
    last_runtime_metric: { ts: string; cpu_ms: number };
    last_telemetry: { ts: string; event: string };
    busy_loops_detected: { process: string; event_loop_utilization: number; busy_ms: number }[];
    failures: { code: string; cause: string; cure: string }[];
  }>;

  const examined = async (...words: string[]) => {
    const { exit, out } = await nexusmon('--json', 'doctor', ...words);
    const findings = JSON.parse(out) as Findings;
    return { exit, findings, codes: findings.failures.map(({ code }) => code).sort() };
  };
  const pidOf = async (name: string) => {
    const pid = (await product.run()).pids[name];
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  };

  it('finds a stack that runs in order, and says so to people and to programs', async () => {
    const began_at = new Date().toISOString();
    const { exit, findings } = await examined();
    expect([exit, findings.failures]).toEqual([0, []]);
    expect(findings).toMatchObject({
      status: 'ok',
      mission: { ran: { status: 'completed' } },
      busy_loops_detected: [],
    });
    const mission = await operator.mission(findings.mission.created.mission_id);
    expect(mission).toMatchObject({ status: 'completed', goal: 'Runtime check' });
    expect(findings.last_telemetry).toEqual({ ts: mission.ended_at, event: 'MissionCompleted' });
    expect(findings.last_runtime_metric.ts > began_at).toBe(true);
    expect(findings.last_runtime_metric.cpu_ms).toBeGreaterThan(0);

    const { out } = await nexusmon('doctor');
    const instant = String.raw`\d{4}-\S+Z`;
    const form = [
      ...[
        '=== RUNTIME CHECK ===',
        'status: ok',
        String.raw`wall_ms: \d+`,
        String.raw`mission create/run: msn_\S+ completed`,
      ],
      String.raw`last_runtime_metric: ${instant} cpu_ms \d+`,
      String.raw`last_telemetry: ${instant} MissionCompleted`,
      'busy_loops_detected: none',
    ];
    expect(out).toMatch(new RegExp(`^${form.join('\n')}\n$`));
  });

  it('finds that missions do not run and that a process tells no figures', async () => {
    const pid = await pidOf('worker-runner');
    process.kill(pid, 'SIGSTOP');
    try {
      const { exit, findings, codes } = await examined('--patience', '1');
      expect([exit, findings.status, codes]).toEqual([1, 'failed', ['missing_runtime_metrics', 'mission_run_failed']]);
      const [run, metrics] = findings.failures;
      expect(run?.cause).toMatch(/^after 1 s the mission is still (queued|running), its task (ready|running)$/);
      expect(metrics?.cause).toBe('worker has told no figures');
      for (const { cure } of findings.failures) expect(cure).toMatch(/\w{3}/);
      expect((await operator.mission(findings.mission.created.mission_id)).status).toBe('cancelled');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('finds that events do not come and that an event loop is busy with nothing', async () => {
    const { gateway_url } = await product.run();
    const { token } = JSON.parse(await readFile(join(product.data_dir, 'cli', 'session.json'), 'utf8')) as {
      token: string;
    };
    const headers = { authorization: `Bearer ${token}`, 'user-agent': 'nexusmon-cli/0.1.0' };
    // As many as one session may have: the one that doctor would look at is refused.
    const streams = await Promise.all(
      Array.from({ length: STREAMS_PER_CREDENTIAL }, () => EventSource.open(`${gateway_url}/v1/events`, headers)),
    );
    await writeFile(join(folder, 'busy'), 'evolution-service');
    type Health = { runtime: { processes: Record<string, { busy_ms: number }> } };
    const isBusy = async () => {
      const { runtime } = (await operator.get<Health>('/v1/system/health')).body;
      return (runtime.processes['evolution-service']?.busy_ms ?? 0) > 0;
    };
    try {
      await eventually(isBusy);
      const { exit, findings, codes } = await examined();
      expect([exit, codes]).toEqual([1, ['busy_loops_detected', 'missing_telemetry']]);
      expect(findings.mission.ran.status).toBe('completed');
      const [telemetry, busy] = findings.failures;
      expect(telemetry?.cause).toContain(`at most ${STREAMS_PER_CREDENTIAL} event streams of one credential`);
      expect(busy?.cause).toMatch(/^evolution-service has been (9[0-9]|100) % busy for \d+ s while idle$/);
      const [loop] = findings.busy_loops_detected;
      expect(loop?.process).toBe('evolution-service');
      expect(loop?.busy_ms).toBeGreaterThanOrEqual(3_000);
    } finally {
      await rm(join(folder, 'busy'));
      for (const stream of streams) stream.close();
    }
  });

  it('starts a stack of its own where none is named, and leaves nothing of it', async () => {
    const temporary = join(folder, 'temporary');
    await mkdir(temporary);
    const { exit, out, err } = await Command.start(['--json', 'doctor'], { env: { TMPDIR: temporary } }).end();
    expect([exit, err]).toEqual([0, 'starting a temporary stack; the first time takes minutes\n']);
    expect(JSON.parse(out)).toMatchObject({ status: 'ok', failures: [] });
    expect(await readdir(temporary)).toEqual([]);
    await expect(operator.mission((JSON.parse(out) as Findings).mission.created.mission_id)).rejects.toThrow('404');
  });

  it('looks at no folder on which nothing runs', async () => {
    expect((await nexusmon('doctor', '--data-dir', folder)).exit).toBe(8);
  });
});

describe('a wrong operator key', () => {
  it('is tried once', async () => {
    const { gateway_url } = await product.run();
    const env = { OPERATOR_KEY: 'not-the-key-of-this-product' };
    expect((await given({ env }, '--url', gateway_url, 'status')).exit).toBe(4);
  });
});
