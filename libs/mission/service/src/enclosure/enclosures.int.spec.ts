// Against a real MinIO; the vault's part is its URLs. `N4`–`N6` are the numbers in enclosures.ts, `B1` and `B2` those
// in vault.client.ts.

import { createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BlobStore } from '@nexusmon/artifacts';
import { newId } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import { Unavailable, type MessageClient } from '@nexusmon/messaging';
import type { Enclosure } from '@nexusmon/mission-contract';
import type { ExistingMission } from '@nexusmon/mission-domain';
import { testServers } from '@nexusmon/testing';
import { VAULT_SUBJECTS } from '@nexusmon/vault-contract';
import { BlobLost, Vault } from '../vault/vault.client.js';
import { Enclosures } from './enclosures.js';

const servers = await testServers();
const { s3_access_key, s3_secret_key } = JSON.parse(readFileSync(join(servers.secrets_dir, 'vault.json'), 'utf8')) as {
  s3_access_key: string;
  s3_secret_key: string;
};
const storeOf = (bucket: string) =>
  new BlobStore({
    endpoint: servers.s3_endpoint,
    access_key: s3_access_key,
    secret_key: s3_secret_key,
    bucket,
    region: 'us-east-1',
  });
const blobs = storeOf('enclosures-spec');
const nowhere = storeOf('enclosures-spec-never-made');
beforeAll(() => blobs.prepare());
afterAll(() => {
  blobs.close();
  nowhere.close();
});

let asked = 0;
let away = false;
const answers = async (subject: string, question: { sha256: string; size: number }) => {
  asked += 1;
  if (away) throw new Unavailable('vault', 'it is away');
  if (subject === VAULT_SUBJECTS.open_blob) return { url: await blobs.getUrl(question.sha256) };
  const { kind } = await blobs.verify(question.sha256, question.size);
  return kind === 'verified' ? { present: true } : { present: false, url: await blobs.putUrl(question.sha256) };
};
const client = {
  request: async (subject: string, question: { sha256: string; size: number }) => ({
    kind: 'done',
    body: await answers(subject, question),
  }),
} as unknown as MessageClient;

const key = createSecretKey(randomBytes(32));
const destroyed = new Set<string>();
const keyring = {
  get: (key_id: string) => Promise.resolve(destroyed.has(key_id) ? undefined : key),
} as unknown as Keyring;
/** As another process has it: nothing is cached. */
const enclosures = () => new Enclosures(new Vault(client), keyring);

const content = { params: { secret: 'never in the open' }, inputs: [{ text: 'ä'.repeat(100_000) }, null] };
const missionOf = (enclosure: Enclosure, mission_id: string) =>
  ({
    request: { mission_id, enclosure },
    tasks: content.inputs.map(() => ({ plan: {} })),
  }) as unknown as ExistingMission;
const kept = async () => {
  const [mission_id, key_id] = [newId('msn'), newId('key')];
  const enclosure = await enclosures().keep(mission_id, key_id, content);
  return { mission_id, key_id, enclosure, mission: missionOf(enclosure, mission_id) };
};
const overwrite = async ({ sha256 }: Enclosure, bytes: Buffer) =>
  expect((await fetch(await blobs.putUrl(sha256), { method: 'PUT', body: new Uint8Array(bytes) })).status).toBe(200);

describe('an enclosure', () => {
  it('is opened by another process to the same content', async () => {
    const { mission } = await kept();
    const whole = await enclosures().open(mission);
    expect(whole.request.params).toEqual(content.params);
    expect(whole.tasks.map(({ plan }) => plan.input)).toEqual(content.inputs);
  });

  it('lies in the vault under the key of its mission only (N5)', async () => {
    const { enclosure, mission, key_id } = await kept();
    const bytes = await buffer(await blobs.open(enclosure.sha256));
    expect(bytes.length).toBe(enclosure.size);
    expect(bytes.toString('latin1')).not.toContain('never in the open');
    await expect(enclosures().open(missionOf(enclosure, newId('msn')))).rejects.toThrow(BlobLost);
    destroyed.add(key_id);
    await expect(enclosures().open(mission)).rejects.toThrow('data key has been destroyed');
  });

  it('is asked for once by all who open it together, and then not again (N6)', async () => {
    const { mission } = await kept();
    const reader = enclosures();
    asked = 0;
    await Promise.all(Array.from({ length: 20 }, () => reader.open(mission)));
    await reader.open(mission);
    expect(asked).toBe(1);
  });

  it('that was swapped is lost, whatever its size (B1)', async () => {
    const { enclosure, mission } = await kept();
    await overwrite(enclosure, Buffer.alloc(enclosure.size, 'x'));
    await expect(enclosures().open(mission)).rejects.toThrow('the vault holds other bytes than were kept');
    await overwrite(enclosure, Buffer.from('short'));
    await expect(enclosures().open(mission)).rejects.toThrow(BlobLost);
  });

  it('that never was is lost (B2)', async () => {
    const mission = missionOf({ sha256: 'a'.repeat(64), size: 10 }, newId('msn'));
    await expect(enclosures().open(mission)).rejects.toThrow('the vault no longer has the bytes');
  });

  it('waits for a vault that is away, to be kept and to be opened (N4, B2)', async () => {
    const { mission } = await kept();
    away = true;
    await expect(enclosures().open(mission)).rejects.toThrow(Unavailable);
    await expect(enclosures().keep(newId('msn'), newId('key'), content)).rejects.toThrow(Unavailable);
    away = false;
    await expect(enclosures().open(mission)).resolves.toMatchObject({ request: { params: content.params } });
  });

  it('whose bucket is gone is not lost: a storage may be mended (B2)', async () => {
    const { mission, enclosure } = await kept();
    const url = await nowhere.getUrl(enclosure.sha256);
    expect((await fetch(url)).status).toBe(404);
    const elsewhere = {
      request: () => Promise.resolve({ kind: 'done', body: { url } }),
    } as unknown as MessageClient;
    await expect(new Enclosures(new Vault(elsewhere), keyring).open(mission)).rejects.toThrow(Unavailable);
  });
});
