// docs/how-to/add-a-worker.md, followed: its module is loaded as a runner loads it, and run.

import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { memoryContext } from '../builtin/memory-context.fixture.js';
import { loadPlugins } from './load-plugins.js';
import { loadManifests } from './worker-catalogue.js';

const ROOT = resolve(import.meta.dirname, '../../../../..');
let folder = '';
let source = '';
beforeAll(async () => {
  const page = await readFile(join(ROOT, 'docs/how-to/add-a-worker.md'), 'utf8');
  const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
  folder = await mkdtemp(join(tmpdir(), 'nexusmon-how-to-'));
  // Installed beside it, as the page says.
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  source = join(folder, 'workers.mjs');
  await writeFile(source, code);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('the worker of the how-to is one, and does what it says', async () => {
  const manifests = await loadManifests([source]);
  expect(manifests.get('text.count_words')).toMatchObject({ version: '1.0.0', risk_level: 'E' });
  const loaded = (await loadPlugins([source])).flatMap(({ plugins }) => plugins);
  const worker = loaded.find(({ name }) => name === 'text.count_words');
  const context = memoryContext([]);
  const task = { mission_id: 'msn', task_id: 'count', attempt: 1, input: worker?.input.parse({ text: ' one  two\n' }) };
  const output = worker?.output.parse(await worker.execute(task, context));
  expect(output).toMatchObject({ words: 2 });
  expect([...context.kept.values()].map((bytes) => Buffer.from(bytes).toString())).toEqual(['one\ntwo']);
  expect(context.told).toEqual(['2 words']);
});
