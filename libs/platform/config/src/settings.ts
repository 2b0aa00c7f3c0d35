// Every setting of every process, with its unit, its default and what it is for. The reference page is made from this
// table, so what is not here does not exist.

import { delimiter } from 'node:path';
import { parseEgressRule, type EgressRule } from '@nexusmon/shared-contract';
import { z } from 'zod';

export type Setting<Schema extends z.ZodType = z.ZodType> = Readonly<{
  /** One line for the reference. */
  says: string;
  /** What the value counts or names: ms, port, URL, path, … */
  unit: string;
  schema: Schema;
  /** As it would be written in the environment; undefined when the setting has none. */
  fallback?: string;
  secret?: true;
}>;

const setting = <Schema extends z.ZodType>(entry: Setting<Schema>): Setting<Schema> => entry;

const port = z.coerce.number().int().min(0).max(65_535);
const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const url = (...protocols: readonly string[]) =>
  z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`), error: `expected a URL (${protocols.join(', ')})` });
const list = (separator: string) =>
  z.string().transform((value) =>
    value
      .split(separator)
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );

/** What work may reach outside: see E1 to E3 of the list's grammar. */
const egressList = list(',').transform((entries, context) =>
  entries.flatMap((entry): EgressRule[] => {
    const parsed = parseEgressRule(entry);
    if ('rule' in parsed) return [parsed.rule];
    context.addIssue({ code: 'custom', message: `${JSON.stringify(entry)}: ${parsed.fault}` });
    return [];
  }),
);

/** A published default is no secret; a short one is soon none. */
const OPERATOR_KEY_LENGTH_MIN = 16;
const JWT_SECRET_BYTES_MIN = 32;
/** What an artifact may have at most, which is also what a store copies in one go. */
const UPLOAD_BYTES_MAX = 5 * 1024 * 1024 * 1024;

export const SETTINGS = {
  HOST: setting({
    says: 'Address the gateway listens on. Nothing else moves with it.',
    unit: 'address',
    schema: z.string(),
    fallback: '127.0.0.1',
  }),
  PORT: setting({ says: 'Port of the gateway; 0 takes a free one.', unit: 'port', schema: port, fallback: '8000' }),
  OPS_PORT: setting({
    says: 'Port on 127.0.0.1 for /ready, /health and /metrics of this process; 0 takes a free one.',
    unit: 'port',
    schema: port,
    fallback: '0',
  }),
  NEXUSMON_DATA: setting({
    says: 'The data folder. Workers never read it.',
    unit: 'path',
    schema: z.string(),
    fallback: '.nexusmon',
  }),
  NEXUSMON_ALLOWED_PATHS: setting({
    says: `Folders that workers may read, separated by "${delimiter}".`,
    unit: 'paths',
    schema: list(delimiter),
    fallback: '',
  }),
  NEXUSMON_SECRETS: setting({
    says: "Folder with one <context>.json per context; default: the data folder's secrets.",
    unit: 'path',
    schema: z.string().optional(),
  }),
  NEXUSMON_STREAMS: setting({
    says: 'Number of event streams. Chosen when the log is born and never changed.',
    unit: 'streams',
    schema: count(1, 64),
    fallback: '1',
  }),
  NEXUSMON_RUNNER_ID: setting({
    says: 'Name of this runner; default: made of the host and the data folder, so that it stays over restarts.',
    unit: 'name',
    schema: z
      .string()
      .regex(/^[a-z0-9_-]{1,64}$/)
      .optional(),
  }),
  NEXUSMON_WORKER_SLOTS: setting({
    says: 'How many attempts one runner works on at once.',
    unit: 'attempts',
    schema: count(1, 256),
    fallback: '16',
  }),
  NEXUSMON_WORKER_HEAP_MB: setting({
    says: 'The heap of one worker thread; an attempt that needs more fails.',
    unit: 'MB',
    schema: count(16, 65_536),
    fallback: '512',
  }),
  NEXUSMON_WORKER_MODULES: setting({
    says: `More worker modules: absolute paths, separated by "${delimiter}".`,
    unit: 'paths',
    schema: list(delimiter),
    fallback: '',
  }),
  NEXUSMON_WORKER_DRAIN_MS: setting({
    says: 'How long a runner that is told to stop waits for its attempts.',
    unit: 'ms',
    schema: count(0, 600_000),
    fallback: '5000',
  }),
  NEXUSMON_FETCH_HOSTS: setting({
    says:
      'Hosts that http.fetch may ask, separated by ",": `example.org`, `*.example.org`, `host:port`, `http://host`; an ' +
      'address, also a private one, only as `address:port`. Empty: none.',
    unit: 'hosts',
    schema: egressList,
    fallback: '',
  }),
  PATH: setting({
    says: 'Where workers find programs such as git.',
    unit: 'paths',
    schema: z.string(),
    fallback: '/usr/local/bin:/usr/bin:/bin',
  }),
  NEXUSMON_SHUTDOWN_MS: setting({
    says: 'How long a process may take to finish what it has begun before it ends.',
    unit: 'ms',
    schema: count(0, 600_000),
    fallback: '8000',
  }),
  NATS_URL: setting({
    says: 'The NATS server.',
    unit: 'URL',
    schema: url('nats', 'tls', 'ws', 'wss'),
    fallback: 'nats://127.0.0.1:4222',
  }),
  NATS_MONITOR_URL: setting({
    says: "The NATS server's monitor port: shows whether the log is synced at every write.",
    unit: 'URL',
    schema: url('http', 'https').optional(),
  }),
  DATABASE_URL: setting({
    says: 'PostgreSQL and the database, without credentials: each context adds its own.',
    unit: 'URL',
    schema: url('postgres', 'postgresql'),
    fallback: 'postgres://127.0.0.1:5432/nexusmon',
  }),
  DATABASE_ADMIN_URL: setting({
    says: 'PostgreSQL with the credentials of the role that owns the schemas: for migrations alone.',
    unit: 'URL',
    schema: url('postgres', 'postgresql').optional(),
    secret: true,
  }),
  DATABASE_CONNECTIONS_MAX: setting({
    says: 'Connections to PostgreSQL per context and process.',
    unit: 'connections',
    schema: count(1, 64),
    fallback: '4',
  }),
  S3_ENDPOINT: setting({
    says: 'The S3 store of artifacts.',
    unit: 'URL',
    schema: url('http', 'https'),
    fallback: 'http://127.0.0.1:9000',
  }),
  S3_REGION: setting({
    says: 'The region of the S3 store.',
    unit: 'name',
    schema: z.string().min(1),
    fallback: 'us-east-1',
  }),
  S3_BUCKET: setting({
    says: 'The bucket of artifacts.',
    unit: 'name',
    schema: z.string().min(3),
    fallback: 'nexusmon',
  }),
  OPERATOR_KEY: setting({
    says: 'The operator key itself, where it does not come from a file.',
    unit: 'text',
    schema: z.string().min(OPERATOR_KEY_LENGTH_MIN).optional(),
    secret: true,
  }),
  OPERATOR_KEY_FILE: setting({
    says: 'File with the operator key (mode 0600).',
    unit: 'path',
    schema: z.string().optional(),
  }),
  SWARMZ_JWT_SECRET: setting({
    says: 'Signs session tokens with HS256; without it they are signed with a generated Ed25519 key.',
    unit: 'text',
    schema: z
      .string()
      .refine((value) => Buffer.byteLength(value) >= JWT_SECRET_BYTES_MIN, `expected ${JWT_SECRET_BYTES_MIN} bytes`)
      .optional(),
    secret: true,
  }),
  SESSION_BINDING: setting({
    says: 'What a session is bound to: user agent and exact address, and address prefix, or user agent only.',
    unit: 'strict | prefix | agent',
    schema: z.enum(['strict', 'prefix', 'agent']),
    fallback: 'prefix',
  }),
  ALLOWED_ORIGINS: setting({
    says: 'Origins of browsers that may ask, separated by commas.',
    unit: 'origins',
    schema: list(','),
    fallback: '',
  }),
  ALLOWED_TUNNEL_IDS: setting({
    says: 'Cloudflare tunnel ids whose origin may ask, separated by commas.',
    unit: 'ids',
    schema: list(','),
    fallback: '',
  }),
  TRUSTED_PROXIES: setting({
    says: 'Addresses whose X-Forwarded-For is believed, separated by commas.',
    unit: 'addresses',
    schema: list(','),
    fallback: '',
  }),
  NEXUSMON_RATE_PER_CREDENTIAL: setting({
    says: 'Requests a second with one session or API token; more get 429.',
    unit: 'requests/s',
    schema: count(1, 1_000_000),
    fallback: '2000',
  }),
  NEXUSMON_RATE_PER_ADDRESS: setting({
    says: 'Requests a second from one address (IPv6: /64) without a valid credential; more get 429.',
    unit: 'requests/s',
    schema: count(1, 1_000_000),
    fallback: '20',
  }),
  NEXUSMON_EVENT_STREAMS_PER_CREDENTIAL: setting({
    says: 'Open event streams (SSE) of one session or API token.',
    unit: 'streams',
    schema: count(1, 10_000),
    fallback: '5',
  }),
  NEXUSMON_EVENT_STREAMS_MAX: setting({
    says: 'Open event streams (SSE) of one gateway process.',
    unit: 'streams',
    schema: count(1, 100_000),
    fallback: '1000',
  }),
  NEXUSMON_UPLOAD_BYTES_MAX: setting({
    says: 'The largest file that may be uploaded.',
    unit: 'bytes',
    schema: count(1, UPLOAD_BYTES_MAX),
    fallback: String(UPLOAD_BYTES_MAX),
  }),
  NEXUSMON_UPLOADS_MAX: setting({
    says: 'Uploads under way at once in one gateway process, each of up to 16 MiB of its memory; nobody has over half.',
    unit: 'uploads',
    schema: count(1, 1_000),
    fallback: '8',
  }),
  NEXUSMON_STAGED_SECONDS_MAX: setting({
    says:
      'What an upload that was cut off has left in the store is removed after so long without a new part. ' +
      'Senders must bring 8 MiB within two thirds of it.',
    unit: 's',
    schema: count(1, 604_800),
    fallback: '3600',
  }),
  LOG_LEVEL: setting({
    says: 'The least important line that is written.',
    unit: 'level',
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    fallback: 'info',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting({
    says: 'Where traces are sent (OTLP over HTTP, `/v1/traces` is added). Without it none are recorded.',
    unit: 'URL',
    schema: url('http', 'https').optional(),
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: setting({
    says: 'As above, for traces only and as it stands.',
    unit: 'URL',
    schema: url('http', 'https').optional(),
  }),
  OTEL_TRACES_SAMPLER_ARG: setting({
    says: 'Share of the traces begun here that are recorded.',
    unit: '0 to 1',
    schema: z.coerce.number().min(0).max(1),
    fallback: '1',
  }),
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

/** What a reference page needs of each setting. */
export const settingsReference = () =>
  Object.entries<Setting>(SETTINGS).map(([name, { says, unit, fallback, secret }]) => ({
    name,
    unit,
    default: fallback ?? '',
    secret: secret === true,
    says,
  }));
