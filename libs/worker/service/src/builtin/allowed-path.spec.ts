import { mkdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveAllowed } from '@nexusmon/worker-contract';
import { removeFolder, temporaryFolder, writeTree } from './memory-context.fixture.js';

describe('a path', () => {
  let base = '';
  const judged = (path: string, allowed = [join(base, 'home')], forbidden = [join(base, 'home', 'data')]) =>
    resolveAllowed(path, allowed, forbidden, (one) => realpath(one));
  const reason = async (path: string) => {
    const judgement = await judged(path);
    return judgement.allowed ? 'allowed' : judgement.reason;
  };

  beforeAll(async () => {
    base = await temporaryFolder();
    await writeTree(base, { 'home/project/a.txt': 'a', 'home/data/key': 'k', 'home2/b': 'b', 'elsewhere/c': 'c' });
    await mkdir(join(base, 'home', 'links'));
    await symlink(join(base, 'elsewhere'), join(base, 'home/links/out'));
    await symlink(join(base, 'home/project'), join(base, 'home/links/in'));
    await symlink(join(base, 'home/data'), join(base, 'home/links/data'));
    await symlink(join(base, 'home/links/loop'), join(base, 'home/links/loop'));
  });
  afterAll(() => removeFolder(base));

  it('under an allowed root is allowed, by its real path', async () => {
    const project = { allowed: true, path: join(base, 'home/project'), root: join(base, 'home') };
    expect(await judged(join(base, 'home/project'))).toEqual(project);
    expect(await judged(`${join(base, 'home/project')}///`)).toEqual(project);
    expect(await judged(join(base, 'home/links/in'))).toEqual(project);
    expect(await judged('project')).toEqual(project);
    expect(await judged('.')).toEqual({ allowed: true, path: join(base, 'home'), root: join(base, 'home') });
  });

  it('outside is refused, also by dots, by a link, and beside a root of the same beginning', async () => {
    expect(await reason(join(base, 'elsewhere'))).toBe('outside');
    expect(await reason('../elsewhere')).toBe('outside');
    expect(await reason(join(base, 'home/project/../../elsewhere'))).toBe('outside');
    expect(await reason(join(base, 'home/links/out'))).toBe('outside');
    expect(await reason(join(base, 'home/links/out/c'))).toBe('outside');
    expect(await reason(join(base, 'home2'))).toBe('outside');
    expect(await reason('/')).toBe('outside');
  });

  it('that does not exist is told so only under an allowed root', async () => {
    expect(await reason('nothing')).toBe('not_found');
    expect(await reason(join(base, 'home/project/a.txt/deeper'))).toBe('not_found');
    expect(await reason(join(base, 'home/links/loop'))).toBe('not_found');
    expect(await reason('a'.repeat(5_000))).toBe('not_found');
    expect(await reason(join(base, 'nothing'))).toBe('outside');
    expect(await reason('../nothing')).toBe('outside');
  });

  it('in a forbidden folder is refused, also by a link', async () => {
    expect(await reason('data')).toBe('forbidden');
    expect(await reason('data/key')).toBe('forbidden');
    expect(await reason('links/data')).toBe('forbidden');
  });

  it('that is empty or holds U+0000 is refused', async () => {
    expect(await reason('')).toBe('unkeepable');
    expect(await reason('project\u0000')).toBe('unkeepable');
  });

  it('is allowed anywhere under / when that is a root, and nowhere without a root', async () => {
    expect(await judged(base, ['/'])).toMatchObject({ allowed: true, root: '/' });
    expect(await judged(base, [])).toMatchObject({ allowed: false, reason: 'outside' });
  });
});
