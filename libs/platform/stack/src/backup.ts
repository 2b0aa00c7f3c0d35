// A backup of an instance, running or not. Order: reactors, blobs, log, blobs that came meanwhile, keys: whatever one
// of them names lies in one that is read later, or was read before it could be named.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/nats-core';
import { newId } from '@nexusmon/event-log';
import type pg from 'pg';
import { beginBackup, FORMAT, type Manifest } from './backup-folder.js';
import { KeptBlobs, type Bucket } from './kept-blobs.js';
import { keepLog } from './kept-log.js';
import { keepKeys, keepReactors } from './kept-rows.js';
import type { ContextName } from './nats-permissions.js';
import { clientFor, s3ClientFor } from './provision.js';
import { decisionKey, masterProofFile, publicHalf, type ContextSecrets } from './secrets.js';

/** An instance's stores, and where the secrets for them are. */
export type Instance = Readonly<{
  data_dir: string;
  secrets_dir: string;
  operator_key: string;
  nats_url: string;
  database_url: string;
  s3_endpoint: string;
  s3_bucket: string;
}>;

export type Stores = Readonly<{ nats: NatsConnection; database: pg.Client; bucket: Bucket }>;

export const secretsOf = ({ secrets_dir }: Instance, context: ContextName): ContextSecrets =>
  JSON.parse(readFileSync(join(secrets_dir, `${context}.json`), 'utf8')) as ContextSecrets;

/** The key that the operator's decisions about this instance are signed with. */
export const decisionKeyOf = (instance: Instance) =>
  decisionKey(instance.operator_key, secretsOf(instance, 'gateway')['pepper'] ?? '');

/** Opens all three as `admin`, and closes them whatever comes of the work. */
export const withStores = async <Value>(
  instance: Instance,
  work: (stores: Stores) => Promise<Value>,
): Promise<Value> => {
  const { nats_user: user, nats_password: pass, database_user, database_password } = secretsOf(instance, 'admin');
  const { s3_access_key = '', s3_secret_key = '' } = secretsOf(instance, 'vault');
  const database = clientFor(instance.database_url, { user: database_user, password: database_password });
  const client = await s3ClientFor(instance.s3_endpoint, { user: s3_access_key, password: s3_secret_key });
  await database.connect();
  try {
    const servers = new URL(instance.nats_url).host;
    const nats = await connect({ servers, user, pass, name: 'backup', inboxPrefix: '_INBOX_admin', reconnect: false });
    try {
      return await work({ nats, database, bucket: { client, name: instance.s3_bucket } });
    } finally {
      await nats.close();
    }
  } finally {
    await database.end();
  }
};

export type BackupOptions = Readonly<{
  target: string;
  /** The version that takes it. */
  product: string;
  onProgress: (text: string) => void;
}>;

export const takeBackup = async (instance: Instance, options: BackupOptions): Promise<Manifest> => {
  const { target, product, onProgress } = options;
  const folder = beginBackup(target);
  try {
    const manifest = await withStores(instance, async ({ nats, database, bucket }): Promise<Manifest> => {
      const began_at = new Date().toISOString();
      const reactors = await keepReactors(database, folder.path);
      const blobs = new KeptBlobs(bucket, folder.path, onProgress);
      await blobs.take();
      const streams = await keepLog(nats, folder.path, onProgress);
      await blobs.take();
      const kept = blobs.end();
      const keys = await keepKeys(database, folder.path);
      return {
        ...{ format: FORMAT, backup_id: newId('bak'), product, began_at, taken_at: new Date().toISOString() },
        ...{ streams, parts: [reactors, kept.part, keys], blobs: kept.blobs },
        master_proof: readFileSync(masterProofFile(instance.data_dir), 'utf8').trim(),
        operator_public_key: publicHalf(decisionKeyOf(instance)),
      };
    });
    folder.finish(manifest);
    return manifest;
  } catch (error) {
    folder.discard();
    throw error;
  }
};
