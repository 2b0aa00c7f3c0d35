// A compose file, read as an engine reads it, and run without one: every container as a process of this machine, with
// its hosts and ports mapped to loopback and its paths into a folder.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { startPostgres } from '@nexusmon/stack';

export type Container = Readonly<{
  image: string;
  entrypoint?: readonly string[];
  command?: readonly string[];
  environment?: Readonly<Record<string, string>>;
  volumes?: readonly string[];
  expose?: readonly string[];
  ports?: readonly string[];
  depends_on?: Readonly<Record<string, Readonly<{ condition: string }>>>;
  healthcheck?: Readonly<{ test: readonly string[] }>;
  restart?: string;
  cap_drop?: readonly string[];
  security_opt?: readonly string[];
  privileged?: boolean;
  network_mode?: string;
}>;

export type Compose = Readonly<{ services: Readonly<Record<string, Container>> }>;

export const readCompose = (path: string): Compose => parse(readFileSync(path, 'utf8'), { merge: true }) as Compose;

const VARIABLE = /\$\{(\w+)(?::([-?])([^}]*))?\}/g;

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
export const interpolate = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replace(VARIABLE, (_all: string, name: string, kind: string | undefined, rest: string | undefined = '') => {
    const value = variables[name];
    if (value) return value;
    if (kind === '?') throw new Error(`${name}: ${rest}`);
    return kind === '-' ? rest : '';
  });

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

const DEADLINE_MS = 60_000;
const PAUSE_MS = 100;

export class ComposeRun {
  private readonly children = new Map<string, ChildProcess>();
  private readonly components: { stop: (grace_ms: number) => Promise<void> }[] = [];
  private readonly ports = new Map<string, ReadonlyMap<string, number>>();
  private readonly begun = new Map<string, Promise<void>>();

  private constructor(
    private readonly compose: Compose,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly root: string,
    readonly folder: string,
  ) {}

  /** Starts what the file declares, each when what it depends on is as it says. */
  static async start(compose: Compose, variables: Readonly<Record<string, string>>, root: string, folder: string) {
    const run = new ComposeRun(compose, variables, root, folder);
    for (const [name, { expose = [], ports = [], environment = {} }] of Object.entries(compose.services)) {
      const own = [...expose, ...ports.map((port) => port.split(':').at(-1) ?? ''), environment['OPS_PORT'] ?? ''];
      const mapped = new Map<string, number>();
      for (const port of new Set(own)) if (port) mapped.set(port, await freePort());
      run.ports.set(name, mapped);
    }
    try {
      await Promise.all(Object.keys(compose.services).map((name) => run.begin(name)));
      for (const [name, { healthcheck }] of Object.entries(compose.services)) if (healthcheck) await run.healthy(name);
    } catch (error) {
      await run.stop();
      throw error;
    }
    return run;
  }

  /** Where a published port is found on this machine. */
  published(name: string): string {
    const [port = ''] = this.compose.services[name]?.ports ?? [];
    return `http://127.0.0.1:${this.ports.get(name)?.get(port.split(':').at(-1) ?? '')}`;
  }

  /** Where a path of a container lies on this machine. */
  place(name: string, path: string): string {
    return this.map(name, path);
  }

  async stop(): Promise<void> {
    const ours = [...this.children].filter(([name]) => !['nats', 'minio'].includes(name));
    await Promise.all(ours.map(([, child]) => end(child)));
    await Promise.all([...this.children.values()].map(end));
    await Promise.all(this.components.map((component) => component.stop(3_000)));
  }

  private begin(name: string): Promise<void> {
    const known = this.begun.get(name);
    if (known) return known;
    const beginning = this.beginNow(name);
    this.begun.set(name, beginning);
    return beginning;
  }

  private async beginNow(name: string): Promise<void> {
    for (const [other, { condition }] of Object.entries(this.compose.services[name]?.depends_on ?? {})) {
      await this.begin(other);
      if (condition === 'service_completed_successfully') await this.completed(other);
      else if (condition === 'service_healthy') await this.healthy(other);
    }
    const container = this.containerOf(name);
    if (container.image.startsWith('postgres:')) await this.startPostgres(name, container);
    else this.startProcess(name, container);
  }

  private startProcess(name: string, { entrypoint = [], command = [], environment = {} }: Container): void {
    const [program = '', ...args] = [...entrypoint, ...command].map((word) => this.map(name, word));
    const child = spawn(program === 'node' ? process.execPath : program, args, {
      cwd: this.folder,
      // What the image sets, and what the file declares: nothing else.
      env: { PATH: process.env['PATH'] ?? '', ...this.environmentOf(name, environment) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(join(this.folder, `${name}.log`));
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.children.set(name, child);
  }

  /** The image's own entry point, in a few words: a cluster of this user and password on this port. */
  private async startPostgres(name: string, { environment = {} }: Container): Promise<void> {
    const { POSTGRES_USER: user = '', POSTGRES_PASSWORD: password = '' } = this.environmentOf(name, environment);
    const port = this.ports.get(name)?.get('5432') ?? 0;
    const data_dir = join(this.folder, 'postgres');
    this.components.push(await startPostgres({ data_dir, log_file: `${data_dir}.log`, port, user, password }));
  }

  private async completed(name: string): Promise<void> {
    const child = this.children.get(name);
    if (child?.exitCode === null) await once(child, 'exit');
    if (child?.exitCode !== 0) throw new Error(`${name} ended with ${child?.exitCode}: ${this.logOf(name)}`);
  }

  /** As the file's own health check says; that of PostgreSQL's image was asked by whoever started it. */
  private async healthy(name: string): Promise<void> {
    const { image, healthcheck } = this.containerOf(name);
    if (image.startsWith('postgres:')) return;
    const [, program = '', ...args] = (healthcheck?.test ?? []).map((word) => this.map(name, word));
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const child = spawn(program === 'node' ? process.execPath : program, args, { stdio: 'ignore' });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code === 0) return;
      const own = this.children.get(name);
      if (Date.now() > deadline || own?.exitCode !== null) throw new Error(`${name} is not up: ${this.logOf(name)}`);
      await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    }
  }

  private logOf(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8').slice(-2_000);
  }

  private containerOf(name: string): Container {
    const container = this.compose.services[name];
    if (!container) throw new Error(`there is no service ${name}`);
    return container;
  }

  private environmentOf(name: string, environment: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, this.map(name, value)]));
  }

  /** Words of a container in terms of this machine. */
  private map(name: string, word: string): string {
    let text = interpolate(word, this.variables).replaceAll('0.0.0.0', '127.0.0.1');
    for (const [other, ports] of this.ports)
      for (const [port, mapped] of ports) text = text.replaceAll(`${other}:${port}`, `127.0.0.1:${mapped}`);
    for (const [port, mapped] of this.ports.get(name) ?? [])
      text = text.replace(new RegExp(`(^|127\\.0\\.0\\.1:)${port}(?!\\d)`), `$1${mapped}`);
    for (const [target, place] of this.mountsOf(name)) text = text.replace(new RegExp(`^${target}(?=/|$)`), place);
    return text;
  }

  private mountsOf(name: string): [string, string][] {
    const mounts = (this.containerOf(name).volumes ?? []).map((volume): [string, string] => {
      const [source = '', target = ''] = volume.split(':');
      if (source.startsWith('.')) return [target, resolve(this.root, source)];
      const place = join(this.folder, 'volumes', source);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      return [target, place];
    });
    return [...mounts, ['/app', this.root]];
  }
}

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(insist);
};
