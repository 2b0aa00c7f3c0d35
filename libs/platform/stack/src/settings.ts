import { parseEgressRule } from '@nexusmon/shared-contract';
import { refuseWeakKey, type OutsideCredentials } from './secrets.js';
import { StartFault } from './fault.js';

/** Everything a start was asked for, read by the bootstrap: nothing in this package looks at the environment itself. */
export type Settings = Readonly<{
  /** The clone. */
  root: string;
  /** Absolute. */
  data_dir: string;
  /** The folder the start was typed in: workers may read below it. */
  working_dir: string;
  host: string;
  port: number;
  separate: boolean;
  json: boolean;
  /** Milliseconds since 1970: where elapsed time is counted from. */
  began_at: number;
  binaries: Readonly<{ nats_server?: string; minio?: string }>;
  environment: Readonly<Record<string, string>>;
}>;

export type Outside = Readonly<{
  nats_url?: string;
  database_url?: string;
  s3_endpoint?: string;
  credentials: OutsideCredentials;
}>;

const parseUrl = (name: string, text: string, protocols: readonly string[]): URL => {
  const url = URL.parse(text);
  if (!url || !protocols.includes(url.protocol))
    throw new StartFault(
      `${name} must be a URL beginning ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    );
  return url;
};

const credentialsOf = (url: URL | undefined) =>
  url && url.username !== ''
    ? { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
    : undefined;

const withoutCredentials = (url: URL): string => {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return bare.toString().replace(/\/$/, '');
};

const JWT_SECRET_BYTES_MIN = 32;

/** Keys that no process of ours would take: better said now than by each of them, after everything was started. */
export const checkKeys = (environment: Settings['environment']): void => {
  const jwt_secret = environment['SWARMZ_JWT_SECRET'];
  if (jwt_secret && Buffer.byteLength(jwt_secret) < JWT_SECRET_BYTES_MIN)
    throw new StartFault(`SWARMZ_JWT_SECRET must have at least ${JWT_SECRET_BYTES_MIN} bytes, or be left unset`);
  const operator_key = environment['OPERATOR_KEY'];
  if (operator_key) refuseWeakKey(operator_key.trim(), 'OPERATOR_KEY');
};

/** A list that no process of ours would take. */
export const checkFetchHosts = (environment: Settings['environment']): void => {
  for (const entry of (environment['NEXUSMON_FETCH_HOSTS'] ?? '').split(',').filter((each) => each.trim() !== '')) {
    const parsed = parseEgressRule(entry);
    if ('fault' in parsed)
      throw new StartFault(`NEXUSMON_FETCH_HOSTS: ${JSON.stringify(entry.trim())}: ${parsed.fault}`);
  }
};

/** The components that somebody else runs. */
export const outsideOf = (environment: Settings['environment']): Outside => {
  const given = (name: string) => environment[name] || undefined;
  const [nats_text, database_text, s3_text] = [given('NATS_URL'), given('DATABASE_URL'), given('S3_ENDPOINT')];
  const nats = nats_text ? parseUrl('NATS_URL', nats_text, ['nats:', 'tls:']) : undefined;
  const database = database_text ? parseUrl('DATABASE_URL', database_text, ['postgres:', 'postgresql:']) : undefined;
  const s3 = s3_text ? parseUrl('S3_ENDPOINT', s3_text, ['http:', 'https:']) : undefined;
  if (database && !credentialsOf(database))
    throw new StartFault('DATABASE_URL must name a user and a password that may make roles and schemas');
  const [access_key, secret_key] = [given('S3_ACCESS_KEY'), given('S3_SECRET_KEY')];
  if (s3 && !(access_key && secret_key))
    throw new StartFault('S3_ENDPOINT is set: S3_ACCESS_KEY and S3_SECRET_KEY are needed with it');
  const [nats_credentials, database_credentials] = [credentialsOf(nats), credentialsOf(database)];
  return {
    ...(nats ? { nats_url: withoutCredentials(nats) } : {}),
    ...(database ? { database_url: withoutCredentials(database) } : {}),
    ...(s3 ? { s3_endpoint: withoutCredentials(s3) } : {}),
    credentials: {
      ...(nats_credentials ? { nats: nats_credentials } : {}),
      ...(database_credentials ? { database: database_credentials } : {}),
      ...(s3 && access_key && secret_key ? { s3: { user: access_key, password: secret_key } } : {}),
    },
  };
};
