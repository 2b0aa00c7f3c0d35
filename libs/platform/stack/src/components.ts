// The three servers alone, provisioned: what specs share.

import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { outsidePlaceOf } from './postgres.js';
import { silentReport } from './report.js';
import type { Settings } from './settings.js';
import { supervise, type Addresses } from './supervisor.js';

export type ComponentSet = Addresses &
  Readonly<{
    nats_monitor_url: string;
    secrets_dir: string;
    /** As they are now: what dies is started again, on the same port and data. */
    pids: () => Readonly<Record<string, number>>;
    stop: () => Promise<void>;
    /** Stops, and leaves nothing of the folder behind, inside it or outside. */
    remove: () => Promise<void>;
  }>;

export type ComponentsOptions = Readonly<{
  streams?: number;
  bucket?: string;
  /** Whole paths; programs that are not given are taken from PATH. */
  binaries?: Settings['binaries'];
}>;

/** Starts NATS, PostgreSQL and MinIO on free ports with their data in `folder`. */
export const startComponents = async (folder: string, options: ComponentsOptions = {}): Promise<ComponentSet> => {
  const data_dir = resolve(folder);
  const stack = await supervise({
    root: data_dir,
    data_dir,
    working_dir: data_dir,
    host: '127.0.0.1',
    port: 0,
    separate: false,
    json: false,
    began_at: Date.now(),
    binaries: options.binaries ?? {},
    environment: {
      ...(options.streams === undefined ? {} : { NEXUSMON_STREAMS: String(options.streams) }),
      ...(options.bucket === undefined ? {} : { S3_BUCKET: options.bucket }),
    },
    node: process.execPath,
    services: [],
    report: silentReport,
    signal: new AbortController().signal,
  });
  const { nats_monitor_url } = stack.addresses;
  if (nats_monitor_url === undefined) throw new Error('a NATS of our own has a monitor');
  return {
    ...stack.addresses,
    nats_monitor_url,
    secrets_dir: stack.secrets_dir,
    pids: () => stack.run().pids,
    stop: stack.stop,
    remove: async () => {
      const outside = outsidePlaceOf(join(data_dir, 'postgres'));
      await stack.stop();
      for (const path of [outside, data_dir]) if (path) rmSync(path, { recursive: true, force: true });
    },
  };
};
