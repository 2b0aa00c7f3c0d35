// The vault on the whole product: what a mission leaves there, found, followed and read in part.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument, LineageDocument } from '@nexusmon/vault-contract';
import { Product, type Client, type Problem } from './support/product.js';

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
