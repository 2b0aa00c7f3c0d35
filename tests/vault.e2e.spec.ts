// The vault on the whole product: what a mission leaves there, found, followed and read in part.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { request as httpRequest, type ClientRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import {
  UPLOAD_PART_BYTES,
  type ArtifactDocument,
  type CheckDocument,
  type LineageDocument,
} from '@nexusmon/vault-contract';
import { EventSource } from './support/event-source.js';
import { Client, eventually, Product, type Answer, type Problem } from './support/product.js';

const ARTIFACTS = '/v1/vault/artifacts';
const NONE = 'art_01890000-0000-7000-8000-000000000000';

let product: Product;
let operator: Client;
let mission: MissionDocument;
/** What the mission left, by the last part of its name. */
let left: Map<string, ArtifactDocument>;

beforeAll(async () => {
  product = await Product.start();
  operator = await product.operator();
  const body = { goal: 'Report', template: 'repository-report', params: { path: import.meta.dirname } };
  const ran = await operator.post<MissionDocument>('/v1/engine/missions', body, { prefer: 'wait=60' });
  expect([ran.status, ran.body.status]).toEqual([200, 'completed']);
  mission = ran.body;
  const { data } = (await operator.get<Page<ArtifactDocument>>(`${ARTIFACTS}?mission_id=${mission.mission_id}`)).body;
  left = new Map(data.map((artifact) => [artifact.name.slice(artifact.name.lastIndexOf('/') + 1), artifact]));
}, 300_000);
afterAll(() => product.remove(), 60_000);

const named = (file: string): ArtifactDocument => {
  const artifact = left.get(file);
  if (!artifact) throw new Error(`no ${file} among ${[...left.keys()].join(', ')}`);
  return artifact;
};
const pathOf = ({ artifact_id }: ArtifactDocument) => `${ARTIFACTS}/${artifact_id}`;

describe('what a mission left', () => {
  it('is found by its task, its kind and as the latest of its name', async () => {
    const report = named('report.md');
    const { mission_id, task_id } = report;
    const query = `mission_id=${mission_id}&task_id=${task_id}&kind=${report.kind}&latest=true`;
    const { body } = await operator.get<Page<ArtifactDocument>>(`${ARTIFACTS}?${query}`);
    expect(body.data.map(({ name }) => name)).toContain(report.name);
    expect(body.data.every((artifact) => artifact.task_id === task_id)).toBe(true);
    expect((await operator.get(`${ARTIFACTS}?kind=nothing`)).status).toBe(422);
    const versions = await operator.get<Page<ArtifactDocument>>(`${pathOf(report)}/versions`);
    expect(versions.body).toEqual({ data: [report], next_cursor: null });
    expect((await operator.get<Problem>(`${ARTIFACTS}/${NONE}/versions`)).body.code).toBe('artifact-not-found');
  });

  it('has a lineage from the report to what it was made from, and back', async () => {
    const report = named('report.md');
    const up = await operator.get<LineageDocument>(`${pathOf(report)}/lineage`);
    const sources = up.body.nodes.filter(({ distance }) => distance < 0).map(({ artifact }) => artifact);
    expect(sources.length).toBeGreaterThan(0);
    for (const { mission_id, task_id, attempt, worker } of sources)
      expect({ mission_id, attempt, task: task_id !== report.task_id, worker: worker !== '' }).toEqual({
        ...{ mission_id: mission.mission_id, attempt: 1, task: true, worker: true },
      });
    const [source] = sources;
    const down = await operator.get<LineageDocument>(`${ARTIFACTS}/${source?.artifact_id}/lineage?direction=derived`);
    expect(down.body.nodes.map(({ artifact }) => artifact.artifact_id)).toContain(report.artifact_id);
    expect(down.body.truncated).toBe(false);
    expect((await operator.get(`${pathOf(report)}/lineage?depth=0`)).status).toBe(422);
  });
});

/** The folder in which the store keeps a blob. */
const blobFolder = ({ sha256 }: ArtifactDocument) =>
  join(product.data_dir, 'minio/store/nexusmon/blobs', sha256.slice(0, 2), sha256);

describe('a deleted artifact', () => {
  it('keeps its metadata, answers 410 and leaves no bytes on the disk', async () => {
    const manifest = named('manifest.json');
    const before = existsSync(blobFolder(manifest));
    expect((await operator.call<Problem>('DELETE', pathOf(manifest), {})).body.errors?.[0]?.path).toBe('reason');
    const reason = 'It names people.';
    const gone = await operator.call<ArtifactDocument>('DELETE', pathOf(manifest), { reason });
    expect([gone.status, gone.body.deleted_reason, gone.body.deleted_by]).toEqual([200, reason, 'operator:owner']);
    const position = encodeURIComponent(gone.headers.get('nexusmon-position') ?? '');
    const { mission_id } = mission;
    const query = `mission_id=${mission_id}&deleted=true&min_position=${position}`;
    const listed = await operator.get<Page<ArtifactDocument>>(`${ARTIFACTS}?${query}`);
    expect(listed.body.data).toEqual([gone.body]);
    for (const headers of [{}, { range: 'bytes=0-1' }]) {
      const { status, body } = await operator.get<Problem>(`${pathOf(manifest)}/content`, headers);
      expect([status, body.code]).toEqual([410, 'artifact-deleted']);
    }
    await eventually(() => Promise.resolve(!existsSync(blobFolder(manifest))));
    expect(before).toBe(true);
    // The events can be followed, with the reason opened.
    const stream = await EventSource.open(`${operator.url}/v1/events?from=start&type=ArtifactDeleted`, {
      authorization: `Bearer ${operator.token ?? ''}`,
    });
    const [event] = await stream.until((list) => list.length > 0);
    stream.close();
    expect(event?.data['data']).toMatchObject({ artifact_id: manifest.artifact_id, reason });
  });

  it('is none while its mission runs', async () => {
    const plan = {
      tasks: [
        { task_id: 'survey', worker: 'repository.survey', input: { path: import.meta.dirname } },
        {
          task_id: 'wait',
          worker: 'system.echo',
          input: { value: 1 },
          depends_on: ['survey'],
          requires_approval: true,
        },
      ],
    };
    const { body } = await operator.post<MissionDocument>('/v1/engine/missions', { goal: 'Wait', plan });
    const left_one = async () =>
      (await operator.get<Page<ArtifactDocument>>(`${ARTIFACTS}?mission_id=${body.mission_id}`)).body.data[0];
    await eventually(async () => (await left_one()) !== undefined);
    const artifact = await left_one();
    const early = await operator.call<Problem>('DELETE', `${ARTIFACTS}/${artifact?.artifact_id}`, { reason: 'now' });
    expect([early.status, early.body.code]).toEqual([409, 'mission-running']);
    await operator.post(`/v1/engine/missions/${body.mission_id}/cancel`);
    const late = await operator.call('DELETE', `${ARTIFACTS}/${artifact?.artifact_id}`, { reason: 'now' });
    expect(late.status).toBe(200);
  });
});

describe('bytes that are lost', () => {
  it('are found by a check, shown in health, and told as lost and not as away', async () => {
    const report = named('report.json');
    const check = async () => (await operator.post<CheckDocument>(`${pathOf(report)}/check`)).body.result;
    expect(await check()).toBe('match');
    renameSync(blobFolder(report), `${product.data_dir}/aside`);
    const gone = await operator.get<Problem>(`${pathOf(report)}/content`);
    expect([gone.status, gone.body.code]).toEqual([500, 'artifact-lost']);
    expect(await check()).toBe('missing');
    type Health = { checks: { vault: { status: string; detail?: string } } };
    const vault = async () => (await operator.get<Health>('/v1/system/health')).body.checks.vault;
    await eventually(async () => (await vault()).detail?.startsWith('1 damaged') === true);
    expect((await operator.get<Page<ArtifactDocument>>(`${ARTIFACTS}?damaged=true`)).body.data).toMatchObject([
      { artifact_id: report.artifact_id, damage: 'lost' },
    ]);
    renameSync(`${product.data_dir}/aside`, blobFolder(report));
    expect(await check()).toBe('match');
    await eventually(async () => (await vault()).status === 'ok');
  });
});

describe('a range of an artifact', () => {
  const content = (headers: Record<string, string>, method = 'GET') =>
    operator.call<string>(method, `${pathOf(named('report.md'))}/content`, undefined, headers);

  it('is what it asks for, of the bytes that the tag names', async () => {
    const { size, sha256 } = named('report.md');
    const whole = await content({});
    expect([whole.status, whole.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
    const part = await content({ range: 'bytes=2-11', 'if-range': `"${sha256}"` });
    expect([part.status, part.body]).toEqual([206, whole.body.slice(2, 12)]);
    expect(part.headers.get('content-range')).toBe(`bytes 2-11/${size}`);
    expect(part.headers.get('content-length')).toBe('10');
    expect(part.headers.get('etag')).toBe(`"${sha256}"`);
    expect(part.headers.get('content-security-policy')).toMatch(/sandbox/);
    const tail = await content({ range: 'bytes=-4' });
    expect([tail.status, tail.headers.get('content-range')]).toEqual([206, `bytes ${size - 4}-${size - 1}/${size}`]);
  });

  it('behind the end says how long it is', async () => {
    const { size } = named('report.md');
    const beyond = await content({ range: `bytes=${size}-` });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe(`bytes */${size}`);
  });

  it('gives way to what the caller has, to another tag, and to a HEAD', async () => {
    const { size, sha256 } = named('report.md');
    expect((await content({ range: 'bytes=0-1', 'if-none-match': `"${sha256}"` })).status).toBe(304);
    expect((await content({ range: 'bytes=0-1', 'if-range': '"another"' })).status).toBe(200);
    const head = await content({ range: 'bytes=0-1' }, 'HEAD');
    expect([head.status, head.headers.get('content-length'), head.body]).toEqual([200, String(size), '']);
  });
});

const MIB = 1024 * 1024;
const BOUNDARY = 'a-boundary-that-stands-nowhere-else';

type Fields = Readonly<Record<string, string>>;

/** As a browser or curl sends it. */
const upload = async <Body = ArtifactDocument>(
  bytes: Blob | Uint8Array<ArrayBuffer>,
  { fields = {}, headers = {}, by = operator }: { fields?: Fields; headers?: Fields; by?: Client } = {},
): Promise<Answer<Body>> => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', bytes instanceof Blob ? bytes : new Blob([bytes], { type: 'text/plain' }), 'notes.txt');
  const authorization = `Bearer ${by.token ?? ''}`;
  const init = { method: 'POST', body: form, headers: { authorization, 'user-agent': 'nexusmon-tests', ...headers } };
  const response = await fetch(`${operator.url}${ARTIFACTS}`, init);
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
};
const contentOf = async (artifact: ArtifactDocument): Promise<string> => {
  const headers = { authorization: `Bearer ${operator.token ?? ''}`, 'user-agent': 'nexusmon-tests' };
  const { body } = await fetch(`${operator.url}${pathOf(artifact)}/content`, { headers });
  const digest = createHash('sha256');
  if (body) for await (const chunk of body as AsyncIterable<Uint8Array>) digest.update(chunk);
  return digest.digest('hex');
};
const digestOf = (...chunks: Uint8Array[]) => {
  const digest = createHash('sha256');
  for (const chunk of chunks) digest.update(chunk);
  return digest.digest('hex');
};

/** What uploads have in the store before they are recorded: of parts, and beside them. */
const stagedFiles = (): string[] => {
  const store = join(product.data_dir, 'minio/store');
  const under = (folder: string) =>
    existsSync(folder)
      ? (readdirSync(folder, { recursive: true }) as string[]).filter((file) => /[^/]$/.test(file))
      : [];
  const parts = under(join(store, '.minio.sys/multipart')).filter((file) => /part\.\d+$/.test(file));
  return [...parts, ...under(join(store, 'nexusmon/staged'))];
};

/** An upload that has sent so many bytes and does not end. */
const unfinished = async (bytes: number): Promise<ClientRequest> => {
  const headers = {
    ...{ authorization: `Bearer ${operator.token ?? ''}`, 'user-agent': 'nexusmon-tests' },
    'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
  };
  const request = httpRequest(`${operator.url}${ARTIFACTS}`, { method: 'POST', headers });
  request.on('error', () => undefined); // It is cut off on purpose.
  request.write(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="cut"\r\n\r\n`);
  request.write(randomBytes(bytes));
  return request;
};

describe('an upload', () => {
  it('is the next version of its name, and is found, read, followed, checked and deleted as any other', async () => {
    const report = named('report.md');
    const bytes = Buffer.from('What we think of the report.\n');
    const fields = { name: 'notes/report.md', media_type: 'text/markdown; charset=utf-8', inputs: report.artifact_id };
    const first = await upload(bytes, { fields });
    expect(first.status).toBe(201);
    expect(first.headers.get('location')).toBe(pathOf(first.body));
    const { artifact_id, ...rest } = first.body;
    expect(rest).toMatchObject({
      ...{ name: fields.name, media_type: fields.media_type, version: 1, kind: 'document', size: bytes.length },
      ...{ sha256: digestOf(bytes), uploaded_by: 'operator:owner', inputs: [report.artifact_id] },
    });
    const second = await upload(Buffer.from('On second thoughts.'), { fields: { name: fields.name } });
    expect(second.body).toMatchObject({ version: 2, media_type: 'text/plain' });
    const versions = await operator.get<Page<ArtifactDocument>>(`${pathOf(second.body)}/versions`);
    expect(versions.body.data.map(({ version }) => version)).toEqual([2, 1]);
    const third = await upload(bytes, { fields: { name: fields.name } });
    expect(third.body).toMatchObject({ version: 3, sha256: first.body.sha256 });
    const onto = await upload<Problem>(bytes, { fields: { name: report.name } });
    expect([onto.status, onto.body.code, onto.body.errors?.map(({ path }) => path)]).toEqual([
      ...[422, 'schema-violated', ['name']],
    ]);

    const content = await operator.get<string>(`${pathOf(first.body)}/content`, { range: 'bytes=0-3' });
    expect([content.status, content.body]).toEqual([206, 'What']);
    const lineage = await operator.get<LineageDocument>(`${pathOf(report)}/lineage?direction=derived`);
    expect(lineage.body.nodes.map(({ artifact }) => artifact.artifact_id)).toContain(artifact_id);
    expect((await operator.post<CheckDocument>(`${pathOf(first.body)}/check`)).body.result).toBe('match');
    for (const { body } of [first, third])
      expect((await operator.call('DELETE', pathOf(body), { reason: 'done' })).status).toBe(200);
    await eventually(() => Promise.resolve(!existsSync(blobFolder(first.body))));
    expect((await upload(Buffer.from('unnamed'))).body.name).toBe('notes.txt');
  });

  it.each([0, UPLOAD_PART_BYTES - 1, UPLOAD_PART_BYTES, UPLOAD_PART_BYTES + 1, 2 * UPLOAD_PART_BYTES])(
    'of %i bytes has these bytes, stored once however often they come, and leaves nothing staged',
    async (size) => {
      const bytes = randomBytes(size);
      const both = await Promise.all([upload(bytes), upload(bytes, { fields: { name: 'another' } })]);
      for (const { status, body } of both) {
        expect([status, body.size, body.sha256]).toEqual([201, size, digestOf(bytes)]);
        expect(await contentOf(body)).toBe(body.sha256);
      }
      await eventually(() => Promise.resolve(stagedFiles().length === 0));
    },
  );

  it('of 192 MiB passes through without being held', async () => {
    const chunk = randomBytes(MIB);
    const bytes = new Blob(Array.from({ length: 192 }, () => chunk));
    const { standalone } = (await product.run()).pids;
    const rss = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${standalone}/status`, 'utf8'))?.[1]) * 1_024;
    // What the first bytes of this kind cost stays; what more of them cost is looked at.
    expect((await upload(new Blob(Array.from({ length: 64 }, () => chunk)))).status).toBe(201);
    const before = rss();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, rss())), 20);
    const { status, body } = await upload(bytes);
    clearInterval(watch);
    expect([status, body.sha256]).toEqual([201, digestOf(...Array.from({ length: 192 }, () => chunk))]);
    // What the young generation may grow by is 48 MiB, on top of what is on its way.
    expect(most - before).toBeLessThan(80 * MIB);
    expect(await contentOf(body)).toBe(body.sha256);
  }, 60_000);

  it('with a key is one artifact for good, and no other bytes and no other name can have the key', async () => {
    const headers = { 'idempotency-key': randomBytes(8).toString('hex') };
    const [fields, bytes] = [{ name: 'keyed' }, randomBytes(100)];
    const first = await upload(bytes, { fields, headers });
    const again = await upload(bytes, { fields, headers });
    expect([again.status, again.body]).toEqual([201, first.body]);
    // One after the other: together each could be told that the key is in use.
    for (const [other_bytes, other_fields] of [
      [randomBytes(100), fields],
      [bytes, { name: 'another key' }],
      [bytes, { ...fields, media_type: 'text/csv' }],
    ] as const) {
      const { status, body } = await upload<Problem>(other_bytes, { fields: other_fields, headers });
      expect([status, body.code]).toEqual([422, 'idempotency-key-reused']);
    }
  });

  it('is for those alone who may write, whatever their rank', async () => {
    const tokenOf = async (scope: string) => {
      const body = { name: 'uploads', scopes: [scope], rank_ceiling: 'E' };
      const { token } = (await operator.post<{ token: string }>('/v1/auth/tokens', body)).body;
      return new Client(operator.url, token, '');
    };
    const refused = await upload<Problem>(randomBytes(9), { by: await tokenOf('vault:read') });
    expect([refused.status, refused.body.code]).toEqual([403, 'scope-required']);
    const taken = await upload(randomBytes(9), { by: await tokenOf('vault:write') });
    expect([taken.status, taken.body.uploaded_by?.startsWith('token:')]).toEqual([201, true]);
  });

  it('whose caller hangs up leaves nothing', async () => {
    const request = await unfinished(3 * UPLOAD_PART_BYTES);
    await eventually(() => Promise.resolve(stagedFiles().length > 1));
    request.destroy();
    await eventually(() => Promise.resolve(stagedFiles().length === 0));
  });

  it('that a crash cut off is swept away', async () => {
    const request = await unfinished(3 * UPLOAD_PART_BYTES);
    await eventually(() => Promise.resolve(stagedFiles().length > 1));
    process.kill((await product.run()).pids['standalone'] ?? 0, 'SIGKILL');
    await new Promise((closed) => request.once('close', closed));
    expect(stagedFiles().length).toBeGreaterThan(1);
    await product.stop();
    product = await Product.start({ data_dir: product.data_dir, env: { NEXUSMON_STAGED_SECONDS_MAX: '1' } });
    await eventually(() => Promise.resolve(stagedFiles().length === 0));
  }, 60_000);
});
