// Config: the only reader of the environment. It is read once, when a process starts.

import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { EgressRule } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { SETTINGS, type Setting } from './settings.js';

/** The process cannot start as it was set up. The message names each setting and never shows a secret's value. */
export class ConfigInvalid extends Error {
  override readonly name = 'ConfigInvalid';
}

const environment = z.object(
  Object.fromEntries(Object.entries<Setting>(SETTINGS).map(([name, { schema }]) => [name, schema])) as {
    [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name]['schema'];
  },
);

/** An empty variable counts as one that is not set: `.env` files are full of them. */
const withDefaults = (env: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(
    Object.entries<Setting>(SETTINGS).map(([name, { fallback }]) => [
      name,
      env[name] === undefined || env[name] === '' ? fallback : env[name],
    ]),
  );

const tracesEndpoint = (all: string | undefined, traces: string | undefined) =>
  traces ?? (all === undefined ? undefined : `${all.replace(/\/+$/, '')}/v1/traces`);

/** Links are followed once, here, so that a path under a root is told by comparing text. */
const realPath = (path: string): string => (existsSync(path) ? realpathSync(path) : resolve(path));

const RUNNER_DIGITS = 12;
const runnerIdOf = (data_dir: string): string =>
  `runner-${createHash('sha256').update(`${hostname()}\n${data_dir}`).digest('hex').slice(0, RUNNER_DIGITS)}`;

/** Injectable: the class is its own token. */
export class Config {
  readonly gateway: Readonly<{ host: string; port: number }>;
  readonly ops: Readonly<{ port: number }>;
  readonly data_dir: string;
  readonly allowed_paths: readonly string[];
  readonly secrets_dir: string;
  readonly streams: number;
  readonly worker: Readonly<{
    runner_id: string;
    slots: number;
    heap_mb_max: number;
    modules: readonly string[];
    allowed_roots: readonly string[];
    /** Inside an allowed root, and still never read. */
    forbidden_roots: readonly string[];
    path: string;
    drain_ms: number;
  }>;
  /** What work may reach outside: governance's list, and what plans are checked against. */
  readonly egress: readonly EgressRule[];
  readonly shutdown_ms: number;
  readonly nats: Readonly<{ url: string; monitor_url: string | undefined }>;
  readonly database: Readonly<{ url: string; admin_url: string | undefined; connections_max: number }>;
  readonly s3: Readonly<{ endpoint: string; bucket: string; region: string }>;
  readonly access: Readonly<{
    operator_key: string | undefined;
    operator_key_file: string;
    jwt_secret: string | undefined;
    session_binding: 'strict' | 'prefix' | 'agent';
    allowed_origins: readonly string[];
    allowed_tunnel_ids: readonly string[];
    trusted_proxies: readonly string[];
    requests_per_credential: number;
    requests_per_address: number;
    event_streams_per_credential: number;
    event_streams_max: number;
  }>;
  readonly uploads: Readonly<{ bytes_max: number; at_once_max: number; staged_seconds_max: number }>;
  readonly log_level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  readonly traces: Readonly<{ endpoint: string | undefined; share: number }>;

  constructor(env: z.infer<typeof environment>) {
    this.gateway = { host: env.HOST, port: env.PORT };
    this.ops = { port: env.OPS_PORT };
    this.data_dir = resolve(env.NEXUSMON_DATA);
    this.allowed_paths = env.NEXUSMON_ALLOWED_PATHS.map((path) => resolve(path));
    this.secrets_dir = resolve(env.NEXUSMON_SECRETS ?? join(this.data_dir, 'secrets'));
    this.streams = env.NEXUSMON_STREAMS;
    this.worker = {
      runner_id: env.NEXUSMON_RUNNER_ID ?? runnerIdOf(this.data_dir),
      slots: env.NEXUSMON_WORKER_SLOTS,
      heap_mb_max: env.NEXUSMON_WORKER_HEAP_MB,
      modules: env.NEXUSMON_WORKER_MODULES,
      allowed_roots: this.allowed_paths.map(realPath),
      forbidden_roots: [realPath(this.data_dir)],
      path: env.PATH,
      drain_ms: env.NEXUSMON_WORKER_DRAIN_MS,
    };
    this.egress = env.NEXUSMON_FETCH_HOSTS;
    this.shutdown_ms = env.NEXUSMON_SHUTDOWN_MS;
    this.nats = { url: env.NATS_URL, monitor_url: env.NATS_MONITOR_URL };
    this.database = {
      url: env.DATABASE_URL,
      admin_url: env.DATABASE_ADMIN_URL,
      connections_max: env.DATABASE_CONNECTIONS_MAX,
    };
    this.s3 = { endpoint: env.S3_ENDPOINT, bucket: env.S3_BUCKET, region: env.S3_REGION };
    this.access = {
      operator_key: env.OPERATOR_KEY,
      operator_key_file: resolve(env.OPERATOR_KEY_FILE ?? join(this.data_dir, 'operator.key')),
      jwt_secret: env.SWARMZ_JWT_SECRET,
      session_binding: env.SESSION_BINDING,
      allowed_origins: env.ALLOWED_ORIGINS,
      allowed_tunnel_ids: env.ALLOWED_TUNNEL_IDS,
      trusted_proxies: env.TRUSTED_PROXIES,
      requests_per_credential: env.NEXUSMON_RATE_PER_CREDENTIAL,
      requests_per_address: env.NEXUSMON_RATE_PER_ADDRESS,
      event_streams_per_credential: env.NEXUSMON_EVENT_STREAMS_PER_CREDENTIAL,
      event_streams_max: env.NEXUSMON_EVENT_STREAMS_MAX,
    };
    this.uploads = {
      bytes_max: env.NEXUSMON_UPLOAD_BYTES_MAX,
      at_once_max: env.NEXUSMON_UPLOADS_MAX,
      staged_seconds_max: env.NEXUSMON_STAGED_SECONDS_MAX,
    };
    this.log_level = env.LOG_LEVEL;
    this.traces = {
      endpoint: tracesEndpoint(env.OTEL_EXPORTER_OTLP_ENDPOINT, env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
      share: env.OTEL_TRACES_SAMPLER_ARG,
    };
  }
}

const explain = (issue: z.core.$ZodIssue, env: Readonly<Record<string, string | undefined>>): string => {
  const name = String(issue.path[0]);
  const { unit, secret } = (SETTINGS as Record<string, Setting>)[name] ?? { unit: '', secret: undefined };
  const value = secret ? 'its value (not shown)' : JSON.stringify(env[name] ?? '');
  return `${name} (${unit}): ${value} is not valid: ${issue.message}`;
};

export const readConfig = (env: Readonly<Record<string, string | undefined>> = process.env): Config => {
  const parsed = environment.safeParse(withDefaults(env));
  if (parsed.success) return new Config(parsed.data);
  throw new ConfigInvalid(parsed.error.issues.map((issue) => explain(issue, env)).join('\n'));
};
