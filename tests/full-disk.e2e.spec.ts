// A disk that is full: changes are refused at once, reads go on, and when there is space everything comes back by
// itself with all that was acknowledged.

import { afterAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MissionDocument } from '@nexusmon/mission-contract';
import { eventually, Product, type Client } from './support/product.js';

const DISK_MIB = 16;
const STORE_MIB = 64;
const LEFT_BYTES = 256 * 1024;
const ANSWER_MS_MAX = 2_000;
const BACK_SECONDS_MAX = 60;
const PLAN = { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: 1 } }] };

let product: Product | undefined;
let other: Product | undefined;
const mounts: string[] = [];
const folders: string[] = [];
afterAll(async () => {
  await product?.stop();
  await other?.stop();
  for (const place of mounts) execFileSync('umount', [place]);
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A file system of its own for the server's files; undefined where this user may mount none. */
const smallDisk = (place: string, mib: number): boolean => {
  mkdirSync(place, { recursive: true, mode: 0o700 });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0700`, 'nexusmon-test', place], {
      stdio: 'ignore',
    });
  } catch {
    return false;
  }
  mounts.push(place);
  return true;
};

const data_dir = await mkdtemp(join(tmpdir(), 'nexusmon-full-disk-'));
folders.push(data_dir);
const disk = join(data_dir, 'nats');
const mounted = process.platform === 'linux' && smallDisk(disk, DISK_MIB);

const create = async (client: Client) => {
  const began = performance.now();
  const answer = await client.post<MissionDocument>('/v1/engine/missions', { goal: 'fit in', plan: PLAN });
  return { ...answer, ms: performance.now() - began };
};

describe('the disk of the log is full', () => {
  const title = 'refuses changes at once, and takes them again once there is space, with all that it had taken';
  (mounted ? it : it.skip)(mounted ? title : `${title} [skipped: this user may mount no file system]`, async () => {
    product = await Product.start({ data_dir });
    const operator = await product.operator();
    const { pids } = await product.run();
    const taken: string[] = [];
    const filler = join(disk, 'filler');
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(filler, Buffer.alloc(bavail * bsize - LEFT_BYTES));

    let refused = await create(operator);
    for (; refused.status === 201; refused = await create(operator)) taken.push(refused.body.mission_id);
    expect(taken.length).toBeGreaterThan(0);
    for (const answer of [refused, await create(operator), await create(operator)]) {
      expect([503, 507]).toContain(answer.status);
      expect(answer.ms).toBeLessThan(ANSWER_MS_MAX);
      expect(JSON.stringify(answer.body)).not.toContain(data_dir);
    }
    expect((await operator.mission(taken[0] ?? '')).mission_id).toBe(taken[0]);

    rmSync(filler);
    await eventually(async () => {
      const { status, body } = await create(operator);
      if (status === 201) taken.push(body.mission_id);
      return status === 201;
    }, BACK_SECONDS_MAX);
    for (const mission_id of taken)
      await operator.until(mission_id, ({ status }) => status === 'completed', BACK_SECONDS_MAX);
    const after = await product.run();
    expect(after.pids['nats']).not.toBe(pids['nats']);
    expect(after.pids['standalone']).toBe(pids['standalone']);
  });
});

describe('the disk of the object store is full', () => {
  const title = 'refuses an upload as what it is, and takes one that fits';
  (mounted ? it : it.skip)(mounted ? title : `${title} [skipped: this user may mount no file system]`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nexusmon-full-store-'));
    folders.push(folder);
    expect(smallDisk(join(folder, 'minio/store'), STORE_MIB)).toBe(true);
    other = await Product.start({ data_dir: folder });
    const operator = await other.operator();
    const upload = async (mib: number) => {
      const form = new FormData();
      form.append('file', new Blob(Array.from({ length: mib }, () => randomBytes(1024 * 1024))), 'large');
      const headers = { authorization: `Bearer ${operator.token ?? ''}`, 'user-agent': 'nexusmon-tests' };
      const answer = await fetch(`${operator.url}/v1/vault/artifacts`, { method: 'POST', body: form, headers });
      return { status: answer.status, body: (await answer.json()) as { code?: string } };
    };
    const refused = await upload(STORE_MIB + 16);
    expect([refused.status, refused.body.code]).toEqual([507, 'store-full']);
    expect((await upload(0)).status).toBe(201);
  });
});
