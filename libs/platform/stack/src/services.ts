// The processes of ours: which there are, what each is given, and when it is ready.
//
//   P1. Nothing is inherited: a process gets the settings of components and paths from here, and of the person's
//       environment only what is listed. The master secret and the components' own credentials are not.
//   P2. Only the gateway is reachable from elsewhere, and only where the person said so.
//   P3. Up means that it says so itself, on its operations port. A process that may only read, because its log is not
//       as it must be, or that misses something else, is up: a restart would mend nothing, and people must be able to
//       look.
//   P4. A process that reads a long log before it is up is let be for as long as it gets on: a new one would begin
//       where this one stands.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ask } from './ask.js';
import { startChild, untilReady, type Child } from './child.js';
import { PROBE_TIMEOUT_MS } from './component.js';
import { hasCode } from './fault.js';
import type { Running } from './keep-running.js';

const READY_TIMEOUT_MS = 60_000;

export type Service = Readonly<{
  name: string;
  script: string;
  /** A module that is loaded before it. */
  preload?: string;
  serves_gateway: boolean;
}>;

const app = (root: string, name: string, serves_gateway = false): Service => ({
  name,
  script: join(root, 'apps', name, 'dist', 'main.js'),
  preload: join(root, 'libs', 'platform', 'runtime', 'dist', 'own-source-maps.js'),
  serves_gateway,
});

export const servicesOf = (root: string, separate: boolean): Service[] =>
  separate
    ? [
        app(root, 'gateway', true),
        app(root, 'mission-service'),
        app(root, 'governance-service'),
        app(root, 'worker-runner'),
        app(root, 'vault-service'),
        app(root, 'evolution-service'),
      ]
    : [app(root, 'standalone', true)];

/** What is handed through. The operator's key and token, the master secret and all that names a component are
 * not among it. */
const HANDED_THROUGH = [
  /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+)$/,
  /^(https?|no)_proxy$/i,
  /^(LOG_LEVEL|SERVER_NAME|S3_REGION|DATABASE_CONNECTIONS_MAX)$/,
  /^(SESSION_BINDING|ALLOWED_ORIGINS|ALLOWED_TUNNEL_IDS|TRUSTED_PROXIES|SWARMZ_JWT_SECRET)$/,
  /^(AI_PROVIDER|AI_BASE_URL|OPENAI_\w+|GOOGLE_API_KEY|GITHUB_TOKEN)$/,
  /^(OTEL|ANTHROPIC|SLACK|DISCORD|TWITCH|NEXUSMON(?!_TOKEN$))_\w+$/,
];

export const handedThrough = (environment: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).filter(
      ([name, value]) => value !== '' && HANDED_THROUGH.some((names) => names.test(name)),
    ),
  );

export type ServiceStart = Readonly<{
  service: Service;
  node: string;
  data_dir: string;
  log_file: string;
  ops_port: number;
  gateway: Readonly<{ host: string; port: number }>;
  environment: Readonly<Record<string, string>>;
  onStarted: (child: Child) => void;
  signal: AbortSignal;
  /** How long it may stand still before it is up. @default 60,000 */
  ready_timeout_ms?: number;
}>;

/** The address at which something listening on `host` is reached from this machine. */
export const reachable = (host: string): string => {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
};

/** What a process says of itself, as far as it is read here. */
type Standing = Readonly<{
  status: string;
  reason?: string;
  details?: Readonly<{
    projections?: Readonly<Record<string, Readonly<{ position?: string }>>>;
    scrub?: Readonly<{ stream?: number; reached?: number }>;
  }>;
}>;

/** How far it has come with what was there when it started. */
const progressOf = ({ details }: Standing): string =>
  JSON.stringify([details?.scrub, ...Object.values(details?.projections ?? {}).map(({ position }) => position)]);

const UP = ['ok', 'read_only', 'degraded'];

const standingOf = async (ops_port: number): Promise<Standing> => {
  const url = `http://127.0.0.1:${ops_port}/health`;
  const { text } = await ask(url, PROBE_TIMEOUT_MS);
  return JSON.parse(text) as Standing;
};

/** Whatever the process had started itself ends with it: a new one must not find workers of the old one. */
const endGroup = (pid: number): void => {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
};

export type RunningService = Running &
  Readonly<{
    /** Why it writes nothing, though it is up. */
    read_only: string | undefined;
    /** What it misses, though it is up. */
    degraded: string | undefined;
  }>;

/**
 * Without a bound V8 lets garbage grow with the machine's memory instead of collecting it. A service holds some 80 MB,
 * most of it code: marking all that for each 30 MB of garbage, as V8 would, is dearer than holding a little more.
 */
const HEAP = ['--max-old-space-size=512', '--max-semi-space-size=16', '--heap-growing-percent=70', '--expose-gc'];
/** Each thread of glibc's allocator would keep an arena of its own, which is never given back. */
const MALLOC_ARENA_MAX = '2';

const preload = ({ preload: path }: Service): string[] =>
  path === undefined ? [] : ['--import', pathToFileURL(path).href];

export const startService = async (options: ServiceStart): Promise<RunningService> => {
  const { service, node, data_dir, log_file, ops_port, gateway, environment, onStarted, signal } = options;
  const { ready_timeout_ms = READY_TIMEOUT_MS } = options;
  const child = await startChild({
    name: service.name,
    command: node,
    // The data folder is named for whoever reads the list of processes, this package included (leftovers.ts).
    args: [...preload(service), ...HEAP, service.script, '--data-dir', data_dir],
    env: {
      MALLOC_ARENA_MAX,
      ...environment,
      NODE_ENV: 'production',
      OPS_PORT: String(ops_port),
      ...(service.serves_gateway ? { HOST: gateway.host, PORT: String(gateway.port) } : {}),
    },
    cwd: data_dir,
    log_file,
  });
  const exited = child.exited.then((exit) => {
    endGroup(child.pid);
    return exit;
  });
  let standing: Standing = { status: 'starting' };
  const isUp = async () => UP.includes((standing = await standingOf(ops_port)).status);
  try {
    onStarted(child);
    await untilReady(child, isUp, ready_timeout_ms, signal, () => progressOf(standing));
  } catch (error) {
    await child.stop('SIGTERM', PROBE_TIMEOUT_MS);
    await exited;
    throw error;
  }
  const { status, reason = 'it does not say why' } = standing;
  return {
    pid: child.pid,
    exited,
    stop: (grace_ms) => child.stop('SIGTERM', grace_ms),
    read_only: status === 'read_only' ? reason : undefined,
    degraded: status === 'degraded' ? reason : undefined,
  };
};
