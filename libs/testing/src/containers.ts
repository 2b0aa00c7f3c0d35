// The servers of a test run as containers: the images that a deployment uses, on ports that the engine chose.
//
// They are outside servers to the stack, which puts into them what they must hold as it would into an operator's own.

import { mkdirSync, rmSync } from 'node:fs';
import { CONTEXTS, permissionsOf, prepareSecrets, silentReport, supervise } from '@nexusmon/stack';
import { GenericContainer, getContainerRuntimeClient, Wait, type StartedTestContainer } from 'testcontainers';

const NATS_IMAGE = 'nats:2.15.2-alpine';
const POSTGRES_IMAGE = 'postgres:18-alpine';
/** The last that its makers published; what comes after is source only. */
const MINIO_IMAGE = 'minio/minio:RELEASE.2025-09-07T16-13-09Z';
const NATS_CONFIG = '/etc/nexusmon/nats.conf';
const PAYLOAD_BYTES_MAX = 8 * 1024 * 1024;
/** The embedded cluster sorts by code point, wherever it is made. */
const INITDB_ARGUMENTS = '--data-checksums --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8';
const [NATS_PORT, MONITOR_PORT, POSTGRES_PORT, MINIO_PORT] = [4222, 8222, 5432, 9000];

/** testcontainers knows every way to an engine; it throws this when none of them leads to one. */
const NO_ENGINE = 'Could not find a working container runtime strategy';

export const hasContainerEngine = async (): Promise<boolean> => {
  try {
    await getContainerRuntimeClient();
    return true;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith(NO_ENGINE)) return false;
    throw error;
  }
};

type Secrets = ReturnType<typeof prepareSecrets>;

const natsUsers = ({ contexts }: Secrets) =>
  CONTEXTS.map((context) => {
    const { publish, subscribe } = permissionsOf(context);
    return {
      user: contexts[context].nats_user,
      password: contexts[context].nats_password,
      permissions: {
        publish: { allow: publish },
        subscribe: { allow: subscribe },
      },
    };
  });

/** As the embedded server, but on every address: the engine maps the ports to loopback outside. */
const natsConfig = (secrets: Secrets): string =>
  JSON.stringify({
    server_name: 'nexusmon',
    listen: `0.0.0.0:${NATS_PORT}`,
    http: `0.0.0.0:${MONITOR_PORT}`,
    max_payload: PAYLOAD_BYTES_MAX,
    jetstream: { store_dir: '/data', sync_interval: 'always' },
    authorization: { users: natsUsers(secrets) },
  });

const startNats = (secrets: Secrets) =>
  new GenericContainer(NATS_IMAGE)
    .withCopyContentToContainer([{ content: natsConfig(secrets), target: NATS_CONFIG }])
    .withCommand(['--config', NATS_CONFIG])
    .withExposedPorts(NATS_PORT, MONITOR_PORT)
    .withWaitStrategy(Wait.forHttp('/healthz', MONITOR_PORT))
    .start();

const startPostgres = ({ contexts: { admin } }: Secrets) =>
  new GenericContainer(POSTGRES_IMAGE)
    .withEnvironment({
      POSTGRES_USER: admin.database_user,
      POSTGRES_PASSWORD: admin.database_password,
      POSTGRES_INITDB_ARGS: INITDB_ARGUMENTS,
    })
    .withExposedPorts(POSTGRES_PORT)
    // It starts twice: once to make the cluster, once to serve.
    .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
    .start();

const startMinio = ({ s3 }: Secrets) =>
  new GenericContainer(MINIO_IMAGE)
    .withEnvironment({ MINIO_ROOT_USER: s3.user, MINIO_ROOT_PASSWORD: s3.password })
    .withCommand(['server', '/data'])
    .withExposedPorts(MINIO_PORT)
    .withWaitStrategy(Wait.forHttp('/minio/health/ready', MINIO_PORT))
    .start();

const addressOf = (container: StartedTestContainer, port: number) =>
  `${container.getHost()}:${container.getMappedPort(port)}`;

/** Puts schemas, roles, streams and the bucket into the servers; nothing of ours stays running. */
const provision = async (folder: string, environment: Readonly<Record<string, string>>) => {
  const stack = await supervise({
    ...{ root: folder, data_dir: folder, working_dir: folder, host: '127.0.0.1', port: 0 },
    ...{ separate: false, json: false, began_at: Date.now(), binaries: {}, environment },
    ...{ node: process.execPath, services: [], report: silentReport, signal: new AbortController().signal },
  });
  await stack.stop();
  return { ...stack.addresses, secrets_dir: stack.secrets_dir };
};

export const startContainers = async (folder: string) => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const secrets = prepareSecrets(folder);
  const started = await Promise.allSettled([startNats(secrets), startPostgres(secrets), startMinio(secrets)]);
  const stop = async () => {
    const running = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    await Promise.all(running.map((container) => container.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [nats, postgres, minio] = started.map((outcome) => {
      if (outcome.status === 'rejected') throw new Error('a container did not start', { cause: outcome.reason });
      return outcome.value;
    }) as [StartedTestContainer, StartedTestContainer, StartedTestContainer];
    const monitor = `http://${addressOf(nats, MONITOR_PORT)}`;
    const { database_user: user, database_password: password } = secrets.contexts.admin;
    const provisioned = await provision(folder, {
      NATS_URL: `nats://${addressOf(nats, NATS_PORT)}`,
      DATABASE_URL: `postgresql://${user}:${password}@${addressOf(postgres, POSTGRES_PORT)}/postgres`,
      NATS_MONITOR_URL: monitor,
      S3_ENDPOINT: `http://${addressOf(minio, MINIO_PORT)}`,
      S3_ACCESS_KEY: secrets.s3.user,
      S3_SECRET_KEY: secrets.s3.password,
    });
    return { kind: 'containers' as const, ...provisioned, nats_monitor_url: monitor, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
