// What a deployment of several containers needs before its services start: the secrets, users, streams, roles, bucket
// and tables that a start on one machine makes for itself.
//
//   D1. Both steps may be repeated: what is there stays.
//   D2. Everything is derived from the master secret, which no service is given.

import { join } from 'node:path';
import { StartFault } from './fault.js';
import { replaceFile } from './files.js';
import { migrate } from './migrations.js';
import { CONTEXTS } from './nats-permissions.js';
import { sharedNatsConfig } from './nats.js';
import { provision } from './provision.js';
import { operatorKeyFile, prepareSecrets, type Secrets } from './secrets.js';
import { outsideOf, type Settings } from './settings.js';

type Environment = Settings['environment'];

const asked = (environment: Environment, name: string): string => {
  const value = environment[name];
  if (!value) throw new StartFault(`${name} is needed for a deployment`);
  return value;
};

const secretsOf = (environment: Environment): Secrets =>
  prepareSecrets(asked(environment, 'NEXUSMON_DATA'), {
    master_secret: asked(environment, 'NEXUS_MASTER_SECRET'),
    outside: outsideOf(environment).credentials,
  });

/** Writes the secrets of each context and the operator's key, and for nats-server who may log in and do what. */
export const writeDeploymentSecrets = (environment: Environment, nats_config: string): void => {
  const { contexts } = secretsOf(environment);
  operatorKeyFile(asked(environment, 'NEXUSMON_DATA'), undefined);
  const users = CONTEXTS.map((context) => {
    const { nats_user: user, nats_password: password } = contexts[context];
    return { context, user, password };
  });
  replaceFile(nats_config, sharedNatsConfig(users));
};

/** Makes in the components what the services rest on. */
export const provisionDeployment = async (environment: Environment, root: string, node: string): Promise<void> => {
  const secrets = secretsOf(environment);
  const { nats_user, nats_password, database_user, database_password } = secrets.contexts.admin;
  const { nats_url, database_url, s3_endpoint } = outsideOf(environment);
  if (!nats_url || !database_url || !s3_endpoint)
    throw new StartFault('NATS_URL, DATABASE_URL and S3_ENDPOINT are needed for a deployment');
  const admin = { user: database_user, password: database_password };
  const provisioned = await provision({
    secrets,
    nats: {
      url: nats_url,
      admin: { user: nats_user, password: nats_password },
      streams: Number(environment['NEXUSMON_STREAMS'] || 1),
    },
    database: { url: database_url, admin, is_ours: false },
    s3: { endpoint: s3_endpoint, bucket: asked(environment, 'S3_BUCKET') },
  });
  await migrate({
    root,
    node,
    database_url: provisioned.database_url,
    admin,
    environment: { NODE_ENV: 'production', DATABASE_URL: provisioned.database_url },
    log_file: join(asked(environment, 'NEXUSMON_DATA'), 'migrate.log'),
  });
};
