import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonObject } from '@nexusmon/kernel';
import type { BriefBuildOutput, BriefDocument, BriefScoutInput, BriefScoutOutput } from '@nexusmon/worker-contract';
import fc from 'fast-check';
import { memoryContext, put, removeFolder, run, temporaryFolder, writeTree } from '../memory-context.fixture.js';
import type { MemoryContext } from '../memory-context.fixture.js';

const known: BriefScoutInput['known'] = {
  templates: [
    {
      name: 'repository-report',
      description: 'Surveys a repository and writes a report of its files, licences and open places.',
      params: {
        path: { type: 'path', required: true, description: 'The folder.' },
        title: { type: 'string', required: false },
      },
    },
    { name: 'invoice', description: 'Sends an invoice.', params: { customer: { type: 'string', required: true } } },
  ],
  workers: [{ name: 'system.echo', description: 'Gives back the value it was given.' }],
};

let root = '';
let context: MemoryContext;
beforeEach(async () => {
  root = await temporaryFolder();
  await writeTree(root, { 'project/a.txt': 'a', 'project/b/c.txt': 'c' });
  await mkdir(join(root, 'project/.git'));
  context = memoryContext([root]);
});
afterEach(() => removeFolder(root));

const briefOf = async (input: BriefScoutInput) => {
  const scout = await run('brief.scout', input, context);
  const build = await run('brief.build', { scout }, context);
  return { scout, build, verified: () => run('brief.verify', { scout, build }, context) };
};

const documentOf = ({ brief_json }: BriefBuildOutput) =>
  JSON.parse(Buffer.from(context.kept.get(brief_json.artifact_id) ?? []).toString()) as BriefDocument;

describe('a brief', () => {
  it('proposes the template that shares words with the goal, with its folder filled in', async () => {
    const goal = 'Write me a report about the files in my repositories';
    const { scout, build, verified } = await briefOf({ goal, params: { path: join(root, 'project') }, known });
    expect(scout.matches.map(({ template, words }) => [template.name, words])).toEqual([
      ['repository-report', ['write', 'report', 'file', 'repository']],
    ]);
    expect(build).toMatchObject({ kind: 'brief', fulfilled: false });
    expect(build.proposals).toEqual([
      {
        statement: 'A mission with template repository-report can be created as it stands.',
        sources: ['goal', 'template:repository-report', 'param:1.path'],
        create: { goal, template: 'repository-report', params: { path: join(root, 'project') } },
        missing_params: [],
      },
    ]);
    expect(scout.sources).toContainEqual({
      source_id: 'folder:1',
      kind: 'folder',
      fact: `"${join(root, 'project')}" is a git repository with 1 files and 1 folders directly in it.`,
      value: join(root, 'project'),
    });
    expect(await verified()).toMatchObject({ verified: true, kind: 'brief', fulfilled: false });
  });

  it('takes a folder given as a source for a parameter that names none', async () => {
    const { build } = await briefOf({ goal: 'report', params: {}, known, sources: [join(root, 'project')] });
    expect(build.proposals[0]?.create.params).toEqual({ path: join(root, 'project') });
  });

  it('says what is missing: a parameter, a match, a folder that may not be read (B2)', async () => {
    const needs = await briefOf({ goal: 'Send an invoice', params: {}, known });
    expect(needs.build.proposals[0]).toMatchObject({ missing_params: ['customer'] });
    expect(documentOf(needs.build).missing.map(({ statement }) => statement)).toContain(
      'Template invoice needs customer, for which nothing given can be used.',
    );
    const none = await briefOf({ goal: 'Paint the house', params: { path: '/etc' }, known });
    const missing = documentOf(none.build).missing.map(({ statement }) => statement);
    expect(missing).toContain('No installed template shares a word with the goal.');
    expect(missing).toContain('"/etc" was named but not read: the path is not under an allowed folder.');
    expect(await none.verified()).toMatchObject({ verified: true });
    const refused = await briefOf({ goal: 'repository report', params: { path: '/etc' }, known });
    expect(refused.build.proposals[0]).toMatchObject({ missing_params: ['path'], create: { params: {} } });
  });

  it('cites only what was gathered, whatever the goal and parameters are', async () => {
    const words = fc.constantFrom('report', 'invoice', 'files', '|', '<b>', '\n# x', 'ä', '`', '[a](b)', '../..', ' ');
    const text = fc.array(words, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(' '));
    const value = fc.oneof(text, fc.integer(), fc.constant(null), fc.constant<JsonObject>({ a: [1] }));
    const params = fc.dictionary(fc.oneof(fc.constantFrom('path', 'customer'), text), value, { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(text, params, async (goal, given) => {
        const { verified } = await briefOf({ goal, params: given, known, sources: ['project'] });
        expect(await verified()).toMatchObject({ verified: true });
      }),
      { numRuns: 100 },
    );
  });

  const changed = async (
    change: (document: BriefDocument) => BriefDocument,
    scouted: (scout: BriefScoutOutput) => BriefScoutOutput = (scout) => scout,
  ) => {
    const { scout, build } = await briefOf({ goal: 'repository report', params: { path: 'project' }, known });
    const bytes = Buffer.from(JSON.stringify(change(documentOf(build))));
    const brief_json = put(context.kept, 'brief.json', 'application/json', bytes);
    return run('brief.verify', { scout: scouted(scout), build: { ...build, brief_json } }, context);
  };

  it('is refused for good when a statement cites nothing, or what was not gathered', async () => {
    const [uncited, invented] = [[], ['folder:9']].map((sources) =>
      changed((document) => ({ ...document, known: [{ statement: 'All is well.', sources }] })),
    );
    await expect(uncited).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('cites nothing'),
    });
    await expect(invented).rejects.toThrow('cites folder:9, which was not gathered');
    const gone = changed(
      (document) => document,
      (scout) => ({ ...scout, sources: scout.sources.filter(({ kind }) => kind !== 'templates') }),
    );
    await expect(gone).rejects.toThrow('cites templates');
  });

  it('is refused when a parameter comes from nowhere', async () => {
    const invented = changed((document) => ({
      ...document,
      proposals: document.proposals.map((one) => ({
        ...one,
        create: { ...one.create, params: { path: '/elsewhere' } },
      })),
    }));
    await expect(invented).rejects.toThrow('path of repository-report comes from no source it cites');
  });
});
