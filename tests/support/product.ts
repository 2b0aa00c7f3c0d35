// The whole product, started as an operator starts it, in a data folder of its own and on free ports.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { MissionDocument } from '@nexusmon/mission-contract';

const ROOT = resolve(import.meta.dirname, '../..');
const READY_SECONDS_MAX = 120;
/** All callers of a spec share one address, and many of them have no credential. */
const ONE_ADDRESS = { NEXUSMON_RATE_PER_ADDRESS: '100000' };

export type Run = Readonly<{
  gateway_url: string;
  nats_url: string;
  database_url: string;
  s3_endpoint: string;
  operator_key_file: string;
  pids: Readonly<Record<string, number>>;
  /** Where each process of ours says how it is. */
  ops_urls: Readonly<Record<string, string>>;
}>;

/** One rule of the product made wrong, in a file as it is built: `find` must be in it exactly once. */
export type BrokenBuild = Readonly<{ rule: string; file: string; find: string; replace: string }>;

const environmentOf = (broken: BrokenBuild | undefined): NodeJS.ProcessEnv =>
  broken
    ? {
        NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, 'tests/support/broken-build.mjs')).href}`,
        NEXUSMON_TEST_BROKEN: JSON.stringify(broken),
      }
    : { NODE_OPTIONS: '' };

export type ProductOptions = Readonly<{
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** One that is there, and is left there. */
  data_dir?: string;
  cwd?: string;
  broken?: BrokenBuild | undefined;
}>;

export type Answer<Body> = Readonly<{ status: number; headers: Headers; body: Body }>;

export type Problem = Readonly<{
  status: number;
  code: string;
  detail: string;
  errors?: { path: string; message: string }[];
}>;

/** One caller with its credential. */
export class Client {
  constructor(
    readonly url: string,
    readonly token: string | undefined,
    readonly operator_key: string,
  ) {}

  async call<Body>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        'user-agent': 'nexusmon-tests',
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as Body };
  }

  get<Body>(path: string, headers?: Record<string, string>): Promise<Answer<Body>> {
    return this.call<Body>('GET', path, undefined, headers);
  }

  post<Body>(path: string, body: unknown = {}, headers?: Record<string, string>): Promise<Answer<Body>> {
    return this.call<Body>('POST', path, body, headers);
  }

  get sovereign(): Record<string, string> {
    return { 'x-operator-key': this.operator_key };
  }

  async mission(mission_id: string): Promise<MissionDocument> {
    const { status, body } = await this.get<MissionDocument>(`/v1/engine/missions/${mission_id}`);
    if (status !== 200) throw new Error(`mission ${mission_id}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** The mission once `done` says so; fails with its last document after `seconds`. */
  async until(mission_id: string, done: (mission: MissionDocument) => boolean, seconds = 60): Promise<MissionDocument> {
    const deadline = Date.now() + seconds * 1_000;
    for (;;) {
      const mission = await this.mission(mission_id);
      if (done(mission)) return mission;
      if (Date.now() > deadline) throw new Error(`still ${mission.status}: ${JSON.stringify(mission).slice(0, 2_000)}`);
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }
}

/** Waits for what a view shows a moment after it happened; fails when it does not within `seconds`. */
export const eventually = async (holds: () => Promise<boolean>, seconds = 20): Promise<void> => {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${holds.toString()}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
};

export const isEnded = (mission: MissionDocument) => ['completed', 'failed', 'cancelled'].includes(mission.status);

export class Product {
  private constructor(
    readonly data_dir: string,
    private readonly child: ChildProcess,
    readonly output: readonly string[],
    private readonly exited: Promise<number | null>,
  ) {}

  /** Resolves when the product says `ready`. */
  static async start(options: ProductOptions = {}) {
    const data_dir = options.data_dir ?? (await mkdtemp(join(tmpdir(), 'nexusmon-product-')));
    const args = [join(ROOT, 'tools/start.mjs'), '--port', '0', '--data-dir', data_dir, ...(options.args ?? [])];
    const child = spawn(process.execPath, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...environmentOf(options.broken), ...ONE_ADDRESS, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: string[] = [];
    const exited = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
    const ready = new Promise<void>((done, fail) => {
      const take = (line: string) => {
        output.push(line);
        if (line.startsWith('ready')) done();
      };
      createInterface({ input: child.stdout }).on('line', take);
      createInterface({ input: child.stderr }).on('line', take);
      void exited.then((code) => fail(new Error(`start ended with ${code}:\n${output.join('\n')}`)));
      setTimeout(() => fail(new Error(`not ready:\n${output.join('\n')}`)), READY_SECONDS_MAX * 1_000).unref();
    });
    const product = new Product(data_dir, child, output, exited);
    try {
      await ready;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    return product;
  }

  async run(): Promise<Run> {
    return JSON.parse(await readFile(join(this.data_dir, 'run.json'), 'utf8')) as Run;
  }

  /** Of what was started. */
  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the product never started');
    return this.child.pid;
  }

  /** A client with the operator's session. */
  async operator(): Promise<Client> {
    const { gateway_url, operator_key_file } = await this.run();
    const operator_key = (await readFile(operator_key_file, 'utf8')).trim();
    const anyone = new Client(gateway_url, undefined, operator_key);
    const { status, body } = await anyone.post<{ token: string }>('/v1/auth/login', { operator_key });
    if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`);
    return new Client(gateway_url, body.token, operator_key);
  }

  async anyone(): Promise<Client> {
    return new Client((await this.run()).gateway_url, undefined, '');
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it as Ctrl-C does and tells the exit code. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGINT');
    return this.exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.data_dir, { recursive: true, force: true });
  }
}
