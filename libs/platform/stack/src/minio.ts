// MinIO: one folder, one loopback port, no console.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { saysOk } from './ask.js';
import { startChild, untilReady } from './child.js';
import { PROBE_TIMEOUT_MS, READY_TIMEOUT_MS, type Component, type ComponentPlace } from './component.js';

export type MinioOptions = ComponentPlace &
  Readonly<{ binary: string; port: number; access_key: string; secret_key: string }>;

export const bucketFolder = (data_dir: string, bucket: string): string => join(data_dir, 'store', bucket);

export const startMinio = async (options: MinioOptions): Promise<Component> => {
  const { binary, data_dir, log_file, port, access_key, secret_key } = options;
  const store = join(data_dir, 'store');
  const certificates = join(data_dir, 'certificates');
  for (const folder of [store, certificates]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const child = await startChild({
    name: 'minio',
    command: binary,
    args: ['server', '--quiet', '--address', `127.0.0.1:${port}`, '--certs-dir', certificates, store],
    env: {
      // Garbage may be this share of what it holds; 130 MiB that it reserves and never touches are counted in. It sets
      // a limit by itself.
      GOGC: '20',
      HOME: data_dir,
      MINIO_ROOT_USER: access_key,
      MINIO_ROOT_PASSWORD: secret_key,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
    cwd: data_dir,
    log_file,
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    options.onStarted?.(child);
    const ready = () => saysOk(`${url}/minio/health/ready`, PROBE_TIMEOUT_MS);
    await untilReady(child, ready, READY_TIMEOUT_MS, options.signal);
  } catch (error) {
    await child.stop('SIGKILL', 0);
    throw error;
  }
  return {
    name: 'minio',
    url,
    pid: child.pid,
    exited: child.exited,
    stop: (grace_ms) => child.stop('SIGTERM', grace_ms),
  };
};
