// Uploads when something they need fails, over a store that does as it is told. `U1`–`U4` are the numbers in upload.ts.

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UPLOAD_PART_BYTES, VAULT_SUBJECTS, type ArtifactDocument, type RecordUpload } from '@nexusmon/vault-contract';
import { Problem, problem, unavailable } from '../http/problem.js';
import type { Services } from '../http/services.js';
import { upload } from './upload.js';

const PLACE = { upload_id: 'upl_0190b6c1-0000-7000-8000-000000000001', store_id: 's' };
const FILLED = '<Error><Code>InternalError</Code><Message>cause(no space left on device)</Message></Error>';

/** What the store got, by the path of its URL; what it says instead of taking it. */
const got: { path: string; bytes: Buffer }[] = [];
let says: { status: number; text: string }[] = [];
let store: Server;
let url: string;
beforeAll(async () => {
  store = createServer((request, response) => {
    void buffer(request).then((bytes) => {
      const instead = says.shift();
      if (instead) return response.writeHead(instead.status).end(instead.text);
      got.push({ path: request.url ?? '', bytes });
      return response.writeHead(200, { etag: `"${got.length}"` }).end();
    });
  });
  await new Promise<void>((listening) => {
    store.listen(0, '127.0.0.1', listening);
  });
  url = `http://127.0.0.1:${(store.address() as AddressInfo).port}`;
});
afterAll(() => {
  store.closeAllConnections();
  store.close();
});

/** What the vault is asked, and what goes wrong with it the next times. */
const asked: { subject: string; request: Record<string, unknown> }[] = [];
let faults = new Map<string, Problem[]>();
const ANSWERS: Record<string, (request: Record<string, unknown>) => unknown> = {
  [VAULT_SUBJECTS.stage]: () => PLACE,
  [VAULT_SUBJECTS.stage_part]: ({ part }) => ({ url: `${url}/part/${String(part)}` }),
  [VAULT_SUBJECTS.begin_upload]: ({ sha256 }) => ({ present: false, url: `${url}/blob/${String(sha256)}` }),
  [VAULT_SUBJECTS.upload]: ({ sha256, size }) => ({ artifact_id: 'art_1', sha256, size }),
  [VAULT_SUBJECTS.unstage]: () => ({}),
};
const services = {
  ask: (subject: string, request: object) => {
    const fields = request as Record<string, unknown>;
    asked.push({ subject, request: fields });
    const fault = faults.get(subject)?.shift();
    return fault
      ? Promise.reject(fault)
      : Promise.resolve({ changed: true, position: '', body: ANSWERS[subject]?.(fields) });
  },
} as unknown as Services;

beforeEach(() => {
  asked.length = 0;
  got.length = 0;
  says = [];
  faults = new Map();
});

const chunksOf = async function* (bytes: Buffer, fault?: Error): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) {
    await Promise.resolve();
    yield bytes.subarray(at, at + 100_000);
  }
  if (fault) throw fault;
};
const send = (bytes: Buffer, fault?: Error): Promise<{ body: ArtifactDocument }> =>
  upload(services, chunksOf(bytes, fault), [], () => ({
    asked: { actor: 'operator:owner', command_id: 'cmd_1' },
    ...{ name: 'notes', media_type: 'text/plain', inputs: [] },
  }));
const times = (subject: string) => asked.filter((each) => each.subject === subject).length;
const large = Buffer.alloc(2 * UPLOAD_PART_BYTES + 7, 'large');
const away = () => unavailable('vault-service', 'away');

describe('an upload', () => {
  it('is cut into parts in their order, the last one shorter, and counted as a whole (U1, U2)', async () => {
    const { body } = await send(large);
    expect(body).toMatchObject({ size: large.length, sha256: createHash('sha256').update(large).digest('hex') });
    expect(got.map(({ path, bytes }) => [path, bytes.length])).toEqual([
      ...[1, 2].map((part) => [`/part/${part}`, UPLOAD_PART_BYTES]),
      ['/part/3', 7],
    ]);
    expect(Buffer.concat(got.map(({ bytes }) => bytes)).equals(large)).toBe(true);
    const { request } = asked.at(-1) ?? {};
    expect((request as RecordUpload | undefined)?.staged).toEqual({ ...PLACE, etags: ['"1"', '"2"', '"3"'] });
  });

  it('of no more than one part is put as it is (U2)', async () => {
    await send(large.subarray(0, UPLOAD_PART_BYTES));
    expect(asked.map(({ subject }) => subject)).toEqual([VAULT_SUBJECTS.begin_upload, VAULT_SUBJECTS.upload]);
  });

  it('waits for a vault and a store that are away for a moment (U4)', async () => {
    faults = new Map([
      [VAULT_SUBJECTS.stage_part, [away()]],
      [VAULT_SUBJECTS.upload, [away()]],
    ]);
    says = [{ status: 503, text: '' }];
    expect((await send(large)).body.size).toBe(large.length);
    expect(Buffer.concat(got.map(({ bytes }) => bytes)).equals(large)).toBe(true);
    expect([times(VAULT_SUBJECTS.upload), times(VAULT_SUBJECTS.unstage)]).toEqual([2, 0]);
  });

  it.each([
    ['says so', { status: 507, text: '' }],
    ['is filled in the middle', { status: 500, text: FILLED }],
  ])('to a store that is full and %s is refused, and taken back (U3)', async (_, said) => {
    says = [said];
    await expect(send(large)).rejects.toMatchObject({ code: 'store-full', status: 507 });
    expect(asked.at(-1)).toEqual({ subject: VAULT_SUBJECTS.unstage, request: PLACE });
    says = [said];
    await expect(send(Buffer.from('small'))).rejects.toMatchObject({ code: 'store-full' });
  });

  it('that breaks off is taken back, once its last part is no longer on its way (U3)', async () => {
    const broken = problem('malformed-form', 'the body broke off');
    await expect(send(large, broken)).rejects.toBe(broken);
    expect(asked.at(-1)).toEqual({ subject: VAULT_SUBJECTS.unstage, request: PLACE });
    expect(times(VAULT_SUBJECTS.upload)).toBe(0);
    faults = new Map([[VAULT_SUBJECTS.unstage, [away()]]]);
    await expect(send(large, broken)).rejects.toBe(broken);
  });

  it('whose place was taken away is lost at once, and not tried again', async () => {
    says = [{ status: 404, text: '<Error><Code>NoSuchUpload</Code></Error>' }];
    await expect(send(large)).rejects.toMatchObject({ code: 'upload-lost', status: 503 });
    expect(times(VAULT_SUBJECTS.stage_part)).toBe(1);
    const lost = new Problem('upload-lost', 'stood still', { status: 422, title: '', hint: '' });
    faults = new Map([[VAULT_SUBJECTS.upload, [lost]]]);
    await expect(send(large)).rejects.toMatchObject({ code: 'upload-lost', status: 503 });
  });

  it('that has brought little takes little memory (U1)', async () => {
    const gate = Promise.withResolvers<void>();
    const slow = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('x');
      await gate.promise;
    };
    const before = process.memoryUsage().arrayBuffers;
    const recording = { asked: { actor: 'operator:owner', command_id: 'cmd_1' }, name: 'n', media_type: 'a/b' };
    const sent = Array.from({ length: 8 }, () => upload(services, slow(), [], () => ({ ...recording, inputs: [] })));
    await new Promise((turn) => setImmediate(turn));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(UPLOAD_PART_BYTES / 2);
    gate.resolve();
    for (const { body } of await Promise.all(sent)) expect(body.size).toBe(1);
  });

  it('whose bytes somebody removed meanwhile is put again', async () => {
    const absent = () => new Problem('blob-absent', 'just removed', { status: 422, title: '', hint: '' });
    faults = new Map([[VAULT_SUBJECTS.upload, [absent(), absent()]]]);
    expect((await send(Buffer.from('small'))).body.size).toBe(5);
    expect(got).toHaveLength(3);
    faults = new Map([[VAULT_SUBJECTS.upload, [absent()]]]);
    await expect(send(large)).rejects.toMatchObject({ code: 'service-unavailable' });
  });
});
