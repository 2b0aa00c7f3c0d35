// One data folder, brought to life and kept alive.
//
//   U1. Order of a start: folder, lock, leftovers, ports, secrets, components, provision, migrations, services, and
//       run.json last.
//   U2. Order of a stop: services first, so that what they have in hand reaches the components; then the components.
//       Within ten seconds, by force where asking does not help.
//   U3. Ports are chosen once. Whatever dies comes back on its port and its data (keep-running.ts).
//   U4. run.json is there exactly while the stack is up, and names the processes as they are.
//   U5. A start that fails stops what it had started.
//   U6. A service that may only read is up: it is left as it is, and people are told why.
//   U7. A component that runs and does not work is started again once it can work (stall-watch.ts).

import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Child, Exit } from './child.js';
import type { Component, ComponentPlace } from './component.js';
import { StartFault } from './fault.js';
import { replaceFile } from './files.js';
import { onPath, prepareFolder } from './folder.js';
import { freePorts, gatewayPort } from './free-ports.js';
import { FIRST_STARTS_MAX, keepRunning, type Kept, type Running } from './keep-running.js';
import { endLeftovers } from './leftovers.js';
import { lockFolder, type FolderLock } from './lock.js';
import { boundFiles, rotate, tail } from './log-files.js';
import { bucketFolder, startMinio } from './minio.js';
import { startNats } from './nats.js';
import { CONTEXTS } from './nats-permissions.js';
import { clusterOf, startPostgres } from './postgres.js';
import { startProvisioner, type Provisioner } from './provisioner.js';
import { sayReadOnly, type Report } from './report.js';
import { openRoster, type Roster } from './roster.js';
import { operatorKeyFile, prepareSecrets, type Credentials, type Secrets } from './secrets.js';
import { watchStalls } from './stall-watch.js';
import { handedThrough, reachable, startService, type RunningService, type Service } from './services.js';
import { checkFetchHosts, checkKeys, outsideOf, type Outside, type Settings } from './settings.js';

/** Together under the ten seconds a stop may take. */
const SERVICES_GRACE_MS = 6_000;
/** A service that is told to end does so by itself, well before it would be made to. */
const SERVICES_MARGIN_MS = 1_000;
const COMPONENTS_GRACE_MS = 3_000;
export const DEFAULT_BUCKET = 'nexusmon';
/** There while a backup is being put back into a data folder: half a log must not be gone on from. */
export const restoringFile = (data_dir: string): string => join(data_dir, 'restoring');

export type RunFile = Readonly<{
  gateway_url: string;
  nats_url: string;
  nats_monitor_url?: string;
  database_url: string;
  s3_endpoint: string;
  operator_key_file: string;
  ops_urls: Readonly<Record<string, string>>;
  pids: Readonly<Record<string, number>>;
}>;

export type SupervisorOptions = Settings &
  Readonly<{
    node: string;
    services: readonly Service[];
    report: Report;
    signal: AbortSignal;
    /** How long a service may stand still before it is up. */
    ready_timeout_ms?: number;
  }>;

type Ports = Readonly<{
  nats: number;
  monitor: number;
  postgres: number;
  minio: number;
  gateway: number;
  ops: number[];
}>;

/** Where the components answer; URLs are without credentials. */
export type Addresses = Readonly<{
  nats_url: string;
  nats_monitor_url?: string;
  database_url: string;
  s3_endpoint: string;
  s3_bucket: string;
  streams: number;
}>;

export type Stack = Readonly<{
  addresses: Addresses;
  /** What a service of ours is given. */
  environment: Readonly<Record<string, string>>;
  secrets_dir: string;
  run: () => RunFile;
  /** By service: why it writes nothing, as it said when it came up. */
  read_only: () => Readonly<Record<string, string>>;
  stop: () => Promise<void>;
}>;

const withCredentials = (url: string, { user, password }: Credentials): string => {
  const full = new URL(url);
  full.username = encodeURIComponent(user);
  full.password = encodeURIComponent(password);
  return full.toString();
};

const ended = ({ code, signal }: Exit): string => signal ?? `exit ${code}`;

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

const inSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/**
 * For what ends soon. Node keeps what it has read of it for as long as a process lives: a service would start 0.15 s of
 * processor time sooner, and hold 16 MB more.
 */
const compiledIn = (root: string): string => join(root, 'node_modules', '.cache', 'nexusmon', 'compiled');

const natsLogin = (secrets: Secrets, context: (typeof CONTEXTS)[number]): Credentials => {
  const { nats_user: user, nats_password: password } = secrets.contexts[context];
  return { user, password };
};

const databaseAdmin = ({ contexts: { admin } }: Secrets): Credentials => ({
  user: admin.database_user,
  password: admin.database_password,
});

/** Starts everything and resolves when all of it is ready. */
export const supervise = async (options: SupervisorOptions): Promise<Stack> => {
  checkKeys(options.environment);
  checkFetchHosts(options.environment);
  prepareFolder(options.data_dir);
  if (options.services.length > 0 && existsSync(restoringFile(options.data_dir)))
    throw new StartFault(
      `a restore into ${options.data_dir} did not come to its end: remove the folder, and restore into a new one`,
    );
  const outside = outsideOf(options.environment);
  const supervisor = new Supervisor(options, outside, await lockFolder(options.data_dir));
  try {
    return await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
};

class Supervisor {
  private readonly ending = new AbortController();
  private readonly components: Kept[] = [];
  private readonly services: Kept[] = [];
  private readonly logs: string[] = [];
  private readonly read_only = new Map<string, string>();
  private readonly roster: Roster;
  private readonly run_file: string;
  private readonly log_timer: NodeJS.Timeout;
  /** Everything in run.json but the pids; set while the stack is up. */
  private run: Omit<RunFile, 'pids'> | undefined;
  private stopped: Promise<void> | undefined;

  constructor(
    private readonly options: SupervisorOptions,
    private readonly outside: Outside,
    private readonly lock: FolderLock,
  ) {
    const { data_dir, report, signal } = options;
    const onFault = (error: unknown) =>
      report.say('fault', `a file of ${data_dir} could not be written: ${String(error)}`);
    this.run_file = join(data_dir, 'run.json');
    this.roster = openRoster(data_dir, () => this.writeRunFile(), onFault);
    this.log_timer = boundFiles(() => this.logs, onFault);
    signal.addEventListener('abort', () => this.ending.abort(signal.reason), { once: true });
    if (signal.aborted) this.ending.abort(signal.reason);
  }

  async start(): Promise<Stack> {
    const { data_dir, environment, host, port, report, services } = this.options;
    rmSync(this.run_file, { force: true });
    const left = await endLeftovers(data_dir, clusterOf(join(data_dir, 'postgres')));
    if (left.length > 0) report.say('leftovers', `  ended what an earlier run had left: ${left.join(', ')}`);

    const gateway = services.length > 0 ? await gatewayPort(port, host) : 0;
    const [nats = 0, monitor = 0, postgres = 0, minio = 0, ...ops] = await freePorts(4 + services.length, {
      taken: gateway,
    });
    const ports = { nats, monitor, postgres, minio, gateway, ops };
    const master_secret = environment['NEXUS_MASTER_SECRET'] || undefined;
    const secrets = prepareSecrets(data_dir, {
      ...(master_secret === undefined ? {} : { master_secret }),
      outside: this.outside.credentials,
    });
    const operator_key_file = operatorKeyFile(data_dir, environment['OPERATOR_KEY'] || undefined);

    const provisioner = this.startProvisioner();
    await this.startComponents(ports, secrets);
    const addresses = await report.step('provision', () => this.provision(provisioner, ports, secrets));
    const handed = this.serviceEnvironment(addresses, secrets, operator_key_file);
    if (services.length > 0) await report.step('migrate', () => this.migrate(provisioner, addresses, secrets, handed));
    await provisioner.end();
    await this.together(services.map((service, index) => () => this.startService(service, index, ports, handed)));
    this.run = this.runFileOf(addresses, ports, secrets, operator_key_file);
    this.writeRunFile();
    return {
      addresses,
      environment: handed,
      secrets_dir: secrets.dir,
      run: () => this.currentRun(),
      read_only: () => Object.fromEntries(this.read_only),
      stop: () => this.stop(),
    };
  }

  /** U2. Asked twice, it stops once. */
  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  private async stopAll(): Promise<void> {
    this.run = undefined;
    this.lock.stopping();
    rmSync(this.run_file, { force: true });
    this.ending.abort(new StartFault('stopped'));
    await Promise.all(this.services.map((kept) => kept.stop(SERVICES_GRACE_MS)));
    await Promise.all(this.components.map((kept) => kept.stop(COMPONENTS_GRACE_MS)));
    clearInterval(this.log_timer);
    this.roster.close();
    this.lock.release();
  }

  private async startComponents(ports: Ports, secrets: Secrets): Promise<void> {
    const { binaries } = this.options;
    const users = CONTEXTS.map((context) => ({ context, ...natsLogin(secrets, context) }));
    const { user: access_key, password: secret_key } = secrets.s3;
    const starts: (() => Promise<void>)[] = [];
    if (this.outside.nats_url === undefined) {
      const binary = binaries.nats_server ?? onPath('nats-server');
      const options = { binary, port: ports.nats, monitor_port: ports.monitor, users };
      starts.push(() => this.keepComponent('nats', (place) => startNats({ ...place, ...options })));
    }
    if (this.outside.database_url === undefined) {
      const options = { port: ports.postgres, ...databaseAdmin(secrets) };
      starts.push(() => this.keepComponent('postgres', (place) => startPostgres({ ...place, ...options })));
    }
    if (this.outside.s3_endpoint === undefined) {
      const binary = binaries.minio ?? onPath('minio');
      const options = { binary, port: ports.minio, access_key, secret_key };
      starts.push(() => this.keepComponent('minio', (place) => startMinio({ ...place, ...options })));
    }
    await this.together(starts);
  }

  private async keepComponent(name: string, start: (place: ComponentPlace) => Promise<Component>): Promise<void> {
    const log_file = this.logFile(name);
    const data_dir = join(this.options.data_dir, name);
    const onStarted = (child: Child) => this.roster.add(child);
    const begin = (signal: AbortSignal) => start({ data_dir, log_file, onStarted, signal });
    const { report } = this.options;
    const onFault = (error: unknown) => report.say('fault', `${name} could not be looked after: ${firstLine(error)}`);
    const { follow } = watchStalls({ folder: data_dir, report, onFault, signal: this.ending.signal });
    this.components.push(await this.keep(name, log_file, begin, follow));
  }

  private async startService(
    service: Service,
    index: number,
    ports: Ports,
    environment: Record<string, string>,
  ): Promise<void> {
    const { node, data_dir, host, ready_timeout_ms } = this.options;
    const log_file = this.logFile(service.name);
    const begin = (signal: AbortSignal) =>
      startService({
        service,
        node,
        data_dir,
        log_file,
        ops_port: ports.ops[index] ?? 0,
        gateway: { host, port: ports.gateway },
        environment,
        onStarted: (child) => this.roster.add(child),
        signal,
        ...(ready_timeout_ms === undefined ? {} : { ready_timeout_ms }),
      });
    const onUp = (running: RunningService) => this.noteStanding(service.name, running);
    this.services.push(await this.keep(service.name, log_file, begin, onUp));
  }

  /** U6. Of the first start the reasons are told together, when everything is up. */
  private noteStanding(name: string, { read_only, degraded }: RunningService): void {
    const { report } = this.options;
    if (degraded !== undefined) report.say('degraded', `${name} is up, but ${degraded}`, { name, reason: degraded });
    if (read_only === undefined) this.read_only.delete(name);
    else this.read_only.set(name, read_only);
    if (this.run && this.read_only.size > 0) sayReadOnly(report, Object.fromEntries(this.read_only));
  }

  private keep<Process extends Running>(
    name: string,
    log_file: string,
    start: (signal: AbortSignal) => Promise<Process>,
    onUp: (running: Process) => void = () => undefined,
  ): Promise<Kept> {
    const { report } = this.options;
    const keeping = () =>
      keepRunning({
        name,
        start,
        signal: this.ending.signal,
        onReady: (running, restarts) => {
          const { pid } = running;
          onUp(running);
          if (restarts > 0) report.say('restarted', `${name} is back (process ${pid})`, { name, pid, restarts });
        },
        onDied: (exit, pause_ms) =>
          report.say('died', `${name} ended (${ended(exit)}); again in ${inSeconds(pause_ms)}`, { name, ...exit }),
        onFailed: (error, pause_ms) =>
          report.say('failed', `${name} did not start (${firstLine(error)}); again in ${inSeconds(pause_ms)}`, {
            name,
          }),
      });
    return report.step(`start ${name}`, async () => {
      try {
        return await keeping();
      } catch (error) {
        if (this.ending.signal.aborted || error instanceof StartFault) throw error;
        const story = `${name} did not start in ${FIRST_STARTS_MAX} attempts; ${log_file} ends with:\n${tail(log_file)}`;
        throw new StartFault(story, { cause: error });
      }
    });
  }

  private startProvisioner(): Provisioner {
    const { root, node, environment, services } = this.options;
    const compiled = services.length > 0 ? { NODE_COMPILE_CACHE: compiledIn(root) } : {};
    return startProvisioner({
      node,
      env: { ...compiled, ...handedThrough(environment) },
      cwd: root,
      log_file: this.logFile('provision'),
      signal: this.ending.signal,
    });
  }

  private async provision(provisioner: Provisioner, ports: Ports, secrets: Secrets): Promise<Addresses> {
    const { data_dir, environment } = this.options;
    const { nats_url, database_url, s3_endpoint } = this.outside;
    const nats = nats_url ?? `nats://127.0.0.1:${ports.nats}`;
    const s3 = s3_endpoint ?? `http://127.0.0.1:${ports.minio}`;
    const s3_bucket = environment['S3_BUCKET'] || DEFAULT_BUCKET;
    const monitor = nats_url === undefined ? `http://127.0.0.1:${ports.monitor}` : environment['NATS_MONITOR_URL'];
    // Our own server keeps a bucket as a folder: one look spares a client and its first request.
    const has_bucket = s3_endpoint === undefined && existsSync(bucketFolder(join(data_dir, 'minio'), s3_bucket));
    const { streams, database_url: provisioned } = await provisioner.provision({
      secrets,
      nats: { url: nats, admin: natsLogin(secrets, 'admin'), streams: Number(environment['NEXUSMON_STREAMS'] || 1) },
      database: {
        url: database_url ?? `postgresql://127.0.0.1:${ports.postgres}`,
        admin: databaseAdmin(secrets),
        is_ours: database_url === undefined,
      },
      ...(has_bucket ? {} : { s3: { endpoint: s3, bucket: s3_bucket } }),
    });
    return {
      nats_url: nats,
      ...(monitor === undefined ? {} : { nats_monitor_url: monitor }),
      database_url: provisioned,
      s3_endpoint: s3,
      s3_bucket,
      streams,
    };
  }

  private async migrate(
    provisioner: Provisioner,
    addresses: Addresses,
    secrets: Secrets,
    environment: Record<string, string>,
  ): Promise<void> {
    const { root, node, report } = this.options;
    const outcome = await provisioner.migrate({
      root,
      node,
      database_url: addresses.database_url,
      admin: databaseAdmin(secrets),
      environment: { ...environment, NODE_COMPILE_CACHE: compiledIn(root) },
      log_file: this.logFile('migrate'),
    });
    if (outcome === 'absent') report.say('migrations', '  no migrations are built');
  }

  private serviceEnvironment(
    addresses: Addresses,
    secrets: Secrets,
    operator_key_file: string,
  ): Record<string, string> {
    const { data_dir, working_dir, environment } = this.options;
    const allowed = [working_dir, environment['NEXUSMON_ALLOWED_PATHS']].filter(Boolean);
    return {
      NEXUSMON_SHUTDOWN_MS: String(SERVICES_GRACE_MS - SERVICES_MARGIN_MS),
      ...handedThrough(environment),
      NODE_ENV: 'production',
      NEXUSMON_DATA: data_dir,
      NEXUSMON_ALLOWED_PATHS: allowed.join(delimiter),
      NEXUSMON_SECRETS: secrets.dir,
      NEXUSMON_STREAMS: String(addresses.streams),
      OPERATOR_KEY_FILE: operator_key_file,
      NATS_URL: addresses.nats_url,
      ...(addresses.nats_monitor_url === undefined ? {} : { NATS_MONITOR_URL: addresses.nats_monitor_url }),
      DATABASE_URL: addresses.database_url,
      S3_ENDPOINT: addresses.s3_endpoint,
      S3_BUCKET: addresses.s3_bucket,
    };
  }

  /** The operator's own view of the stack: the file is 0600, so its URLs let their reader in. */
  private runFileOf(addresses: Addresses, ports: Ports, secrets: Secrets, operator_key_file: string) {
    const { host, services } = this.options;
    return {
      gateway_url: `http://${reachable(host)}:${ports.gateway}`,
      nats_url: withCredentials(addresses.nats_url, natsLogin(secrets, 'reader')),
      ...(addresses.nats_monitor_url === undefined ? {} : { nats_monitor_url: addresses.nats_monitor_url }),
      database_url: withCredentials(addresses.database_url, databaseAdmin(secrets)),
      s3_endpoint: addresses.s3_endpoint,
      operator_key_file,
      ops_urls: Object.fromEntries(services.map(({ name }, index) => [name, `http://127.0.0.1:${ports.ops[index]}`])),
    };
  }

  private currentRun(): RunFile {
    if (!this.run) throw new Error('the stack is not up');
    return { ...this.run, pids: this.roster.pids() };
  }

  private writeRunFile(): void {
    if (this.run) replaceFile(this.run_file, `${JSON.stringify(this.currentRun(), undefined, 2)}\n`);
  }

  private logFile(name: string): string {
    const path = join(this.options.data_dir, 'logs', `${name}.log`);
    rotate(path);
    this.logs.push(path);
    return path;
  }

  /** U5. The first that fails calls the others off; none is left half started. */
  private async together(starts: readonly (() => Promise<void>)[]): Promise<void> {
    const results = await Promise.allSettled(
      starts.map(async (start) => {
        try {
          await start();
        } catch (error) {
          this.ending.abort(error);
          throw error;
        }
      }),
    );
    if (results.some(({ status }) => status === 'rejected')) throw this.ending.signal.reason;
  }
}
