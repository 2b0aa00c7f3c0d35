import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { firstVersion, sealed, type Catalogue } from '@nexusmon/shared-contract';
import { z } from 'zod';
import { checkCorpus } from './corpus.js';

const first = z.strictObject({ goal: sealed(z.string()) });
const second = z.strictObject({ goal: sealed(z.string()), rank: z.string() });
const catalogue: Catalogue = { Made: firstVersion(first) };
const examples = { Made: [{ goal: 'g' }] };
const grown: Catalogue = { Made: { versions: [first, second], upcasts: [(data) => ({ ...data, rank: 'E' })] } };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nexusmon-corpus-'));
  checkCorpus(catalogue, folder, examples);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a corpus', () => {
  it('asks for a new record to be committed, and is content with it from then on', () => {
    expect(checkCorpus(catalogue, join(folder, 'new'), examples)).toEqual([expect.stringContaining('commit it')]);
    expect(checkCorpus(catalogue, join(folder, 'new'), examples)).toEqual([]);
    rmSync(join(folder, 'new'), { recursive: true });
    expect(checkCorpus(catalogue, folder, {})).toEqual([]);
  });

  it('notices a changed schema without a new version (G1)', () => {
    for (const changed of [
      second,
      z.strictObject({ goal: z.string() }),
      z.strictObject({ goal: sealed(z.string().max(9)) }),
    ])
      expect(checkCorpus({ Made: firstVersion(changed) }, folder, {})).toEqual([expect.stringContaining('(G1)')]);
  });

  it('takes a new version with its upcast, and keeps the old one', () => {
    expect(checkCorpus(grown, folder, {})).toEqual([expect.stringContaining('neither a record nor an example')]);
    checkCorpus(grown, folder, { Made: [{ goal: 'g', rank: 'S' }] });
    expect(checkCorpus(grown, folder, {})).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(['Made.v1.json', 'Made.v2.json']);
  });

  it('notices an upcast that does not lead to the latest version (G2)', () => {
    const broken: Catalogue = { Made: { versions: [first, second], upcasts: [(data) => data] } };
    expect(checkCorpus(broken, folder, { Made: [{ goal: 'g', rank: 'S' }] })).toContainEqual(
      expect.stringContaining('(G2)'),
    );
  });

  it('notices an event that has gone (G3)', () => {
    expect(checkCorpus({}, folder, {})).toEqual([expect.stringContaining('(G3)')]);
  });

  it('only grows', () => {
    const before = readFileSync(join(folder, 'Made.v1.json'), 'utf8');
    checkCorpus(catalogue, folder, { Made: [{ goal: 'h' }] });
    const record = JSON.parse(readFileSync(join(folder, 'Made.v1.json'), 'utf8')) as { examples: unknown[] };
    expect(record.examples).toEqual([{ goal: 'g' }, { goal: 'h' }]);
    expect(readFileSync(join(folder, 'Made.v1.json'), 'utf8')).toContain(before.split('\n')[1]);
  });
});
