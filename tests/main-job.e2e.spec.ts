// The main job, as an operator does it: a report on a real repository, right to the last figure.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MissionDocument } from '@nexusmon/mission-contract';
import type { Page } from '@nexusmon/shared-contract';
import type { ArtifactDocument } from '@nexusmon/vault-contract';
import { isEnded, Product, type Client, type Problem } from './support/product.js';

const ROOT = resolve(import.meta.dirname, '..');

/** Counts a folder by nothing but directory listings and bytes. */
const count = (folder: string) => {
  const figures = { files: 0, bytes: 0, todos: 0 };
  const walk = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (['.git', 'node_modules'].includes(entry.name)) continue;
      const child = join(path, entry.name);
      if (entry.isDirectory()) walk(child);
      else if (entry.isFile()) {
        figures.files += 1;
        figures.bytes += statSync(child).size;
        figures.todos += (
          readFileSync(child, 'utf8').match(/(?<![\p{L}\p{N}_])(TODO|FIXME)(?![\p{L}\p{N}_])/gu) ?? []
        ).length;
      }
    }
  };
  walk(folder);
  return figures;
};

const git = (cwd: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', ...args], { cwd });

describe('a repository report', () => {
  const workspace = mkdtempSync(join(tmpdir(), 'nexusmon-sources-'));
  let product: Product;
  let operator: Client;

  beforeAll(async () => {
    product = await Product.start({ env: { NEXUSMON_ALLOWED_PATHS: workspace } });
    operator = await product.operator();
  }, 300_000);

  afterAll(async () => {
    await product.remove();
    rmSync(workspace, { recursive: true, force: true });
  }, 60_000);

  const report = async (path: string): Promise<MissionDocument> => {
    const body = { goal: `Report on ${path}`, template: 'repository-report', params: { path } };
    const created = await operator.post<MissionDocument>('/v1/engine/missions', body);
    expect(created.status).toBe(201);
    return operator.until(created.body.mission_id, isEnded, 120);
  };

  const figuresOf = async (mission: MissionDocument) => {
    const list = await operator.get<Page<ArtifactDocument>>(`/v1/vault/artifacts?mission_id=${mission.mission_id}`);
    const names = list.body.data.map(({ name }) => name.split('/').at(-1));
    expect(names).toEqual(expect.arrayContaining(['report.md', 'report.json', 'manifest.json']));
    const json = list.body.data.find(({ name }) => name.endsWith('/report.json'));
    const markdown = list.body.data.find(({ name }) => name.endsWith('/report.md'));
    const text = await operator.get<string>(`/v1/vault/artifacts/${markdown?.artifact_id}/content`);
    expect(createHash('sha256').update(text.body).digest('hex')).toBe(markdown?.sha256);
    const content = await operator.get<unknown>(`/v1/vault/artifacts/${json?.artifact_id}/content`);
    expect(content.status).toBe(200);
    return { text: text.body, survey: mission.tasks[0]?.output as Record<string, unknown> };
  };

  it('tells the figures of a small repository that anyone can count', async () => {
    const folder = join(workspace, 'small');
    mkdirSync(join(folder, 'src'), { recursive: true });
    mkdirSync(join(folder, 'node_modules/left'), { recursive: true });
    writeFileSync(join(folder, 'node_modules/left/index.js'), '// TODO not ours\n');
    writeFileSync(join(folder, 'README.md'), '# Small\n\nTODO: say more. FIXME, TODOS and todo do not count alike.\n');
    writeFileSync(join(folder, 'src/main.ts'), 'const a = 1; // TODO one TODO two\nexport default a;');
    writeFileSync(join(folder, 'src/data.bin'), Buffer.from([0, 84, 79, 68, 79]));
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'small', license: 'MIT', dependencies: { zod: '4.6.7' } }),
    );
    symlinkSync('/etc/hostname', join(folder, 'elsewhere'));
    git(folder, 'init', '-q');
    git(folder, 'add', '.');
    git(folder, 'commit', '-q', '-m', 'A first commit');

    const mission = await report(folder);
    expect(mission).toMatchObject({ status: 'completed', template: 'repository-report', plan_source: 'template' });
    const { text, survey } = await figuresOf(mission);
    expect(survey).toMatchObject({ file_count: 4, todo_count: 4 });
    expect(text).toContain('A first commit');
    expect(text).toContain('zod');
  });

  it('is right on this repository', async () => {
    const clone = join(workspace, 'clone');
    execFileSync('git', ['clone', '-q', '--no-hardlinks', ROOT, clone]);
    const expected = count(clone);
    const mission = await report(clone);
    expect(mission.error).toBeUndefined();
    const { survey } = await figuresOf(mission);
    expect(survey).toMatchObject({
      file_count: expected.files,
      total_bytes: expected.bytes,
      todo_count: expected.todos,
    });
  });

  it('is right on an empty folder', async () => {
    const folder = join(workspace, 'empty');
    mkdirSync(folder);
    const mission = await report(folder);
    expect(mission.status).toBe('completed');
    expect(mission.tasks[0]?.output).toMatchObject({ file_count: 0, total_bytes: 0, todo_count: 0 });
  });

  it.each([
    ['outside the allowed roots', '/etc'],
    ['reached by leaving a root', 'tests/../../../etc'],
    ['in the data folder', ''],
    ['that is a file', 'package.json'],
  ])('is refused for a folder %s', async (_, path) => {
    const body = { goal: 'Report', template: 'repository-report', params: { path: path || product.data_dir } };
    const { status, body: problem } = await operator.post<Problem>('/v1/engine/missions', body);
    expect({ status, code: problem.code }).toEqual({ status: 422, code: 'path-outside-roots' });
    expect(problem.errors?.[0]?.path).toBe('params/path');
  });

  it('answers a free goal with an honest brief', async () => {
    const body = { goal: 'Write a report on a repository of mine', category: 'library' };
    const created = await operator.post<MissionDocument>('/v1/engine/missions', body, { prefer: 'wait=60' });
    expect(created.status).toBe(200);
    expect(created.body).toMatchObject({
      status: 'completed',
      plan_source: 'planner',
      result: { kind: 'brief', fulfilled: false },
    });
  });
});
