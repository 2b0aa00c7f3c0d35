import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { builtinWorkers } from '../builtin/index.js';
import { loadManifests, manifestOf } from './worker-catalogue.js';

const HOSTILE = fileURLToPath(new URL('hostile-workers.fixture.mjs', import.meta.url));
const [echo] = builtinWorkers;

describe('the catalogue of a runner', () => {
  it('has every built-in worker, and those of the modules it is given', async () => {
    const names = [...(await loadManifests([HOSTILE])).keys()];
    expect(names).toEqual(expect.arrayContaining([...builtinWorkers.map(({ name }) => name), 'hostile.throws']));
  });

  it('takes no module twice', () =>
    expect(loadManifests([HOSTILE, HOSTILE])).rejects.toThrow('there is a hostile.throws already'));

  it('takes no relative path', () => expect(loadManifests(['workers.mjs'])).rejects.toThrow('not absolute'));
});

describe('the digest of a worker', () => {
  const manifest = manifestOf(echo!);

  it('is the same for the same worker', () => expect(manifestOf({ ...echo! })).toEqual(manifest));

  it('covers its version and both schemas, and not its description', () => {
    const described = manifestOf({ ...echo!, description: 'Other words.' });
    expect(described.digest).toBe(manifest.digest);
    const others = [{ version: '9.9.9' }, { input: z.strictObject({}) }, { output: z.strictObject({}) }];
    const digests = others.map((change) => manifestOf({ ...echo!, ...change }).digest);
    expect(new Set([manifest.digest, ...digests]).size).toBe(4);
  });
});
