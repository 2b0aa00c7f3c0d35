// Secrets: one file per context, so that a process can be given only what its contexts need.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigInvalid, type Config } from './config.js';

/**
 * The contexts, and `reader`, which may follow the log and nothing else, and `admin`, which makes streams and tables.
 * `access` lives in the gateway, whose name its user, role and file bear.
 */
export const CONTEXTS = ['mission', 'governance', 'access', 'vault', 'evolution', 'worker', 'reader', 'admin'] as const;
export type Context = (typeof CONTEXTS)[number];

/** The NATS user, the PostgreSQL role and the secrets file of a context. */
export const principalOf = (context: Context): string => (context === 'access' ? 'gateway' : context);

const text = z.string().min(1);

export const contextSecrets = z.object({
  nats_user: text,
  nats_password: text,
  database_user: text.optional(),
  database_password: text.optional(),
  wrap_key: text.optional(),
  permit_private_key: text.optional(),
  permit_public_key: text.optional(),
  session_private_key: text.optional(),
  session_public_key: text.optional(),
  pepper: text.optional(),
  s3_access_key: text.optional(),
  s3_secret_key: text.optional(),
});

const fileOf = (config: Pick<Config, 'secrets_dir'>, context: Context) =>
  join(config.secrets_dir, `${principalOf(context)}.json`);

const readFile = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ConfigInvalid(`the secrets file ${path} cannot be read`, { cause });
  }
};

export type SecretName = keyof z.infer<typeof contextSecrets>;

/** The secrets of one context; asking for one that its file lacks is a fault of the set-up. Injectable. */
export class ContextSecrets {
  constructor(
    readonly context: Context,
    private readonly path: string,
    private readonly values: z.infer<typeof contextSecrets>,
  ) {}

  has(name: SecretName): boolean {
    return this.values[name] !== undefined;
  }

  /** A secret that the process cannot work without. */
  get(name: SecretName): string {
    const value = this.values[name];
    if (value === undefined) throw new ConfigInvalid(`the secrets file ${this.path} has no ${name}`);
    return value;
  }

  get nats_user(): string {
    return this.get('nats_user');
  }

  get nats_password(): string {
    return this.get('nats_password');
  }

  get database_user(): string {
    return this.get('database_user');
  }

  get database_password(): string {
    return this.get('database_password');
  }

  get wrap_key(): string {
    return this.get('wrap_key');
  }

  get permit_private_key(): string {
    return this.get('permit_private_key');
  }

  get permit_public_key(): string {
    return this.get('permit_public_key');
  }

  get session_private_key(): string {
    return this.get('session_private_key');
  }

  get session_public_key(): string {
    return this.get('session_public_key');
  }

  get pepper(): string {
    return this.get('pepper');
  }

  get s3_access_key(): string {
    return this.get('s3_access_key');
  }

  get s3_secret_key(): string {
    return this.get('s3_secret_key');
  }

  /** What a log or an inspector sees. */
  toJSON() {
    return { context: this.context, names: Object.keys(this.values) };
  }
}

export const readSecrets = (config: Pick<Config, 'secrets_dir'>, context: Context): ContextSecrets => {
  const path = fileOf(config, context);
  const parsed = contextSecrets.safeParse(readFile(path));
  if (parsed.success) return new ContextSecrets(context, path, parsed.data);
  const names = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new ConfigInvalid(`the secrets file ${path} lacks or misstates: ${names}`);
};
