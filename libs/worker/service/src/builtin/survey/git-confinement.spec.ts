import { mkdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeFolder, temporaryFolder, writeTree } from '../memory-context.fixture.js';
import { isSame, sealOf } from './git-confinement.js';
import type { Seal } from './git-confinement.js';

let base = '';
let root = '';
beforeEach(async () => {
  base = await temporaryFolder();
  root = join(base, 'allowed/group/work');
  await writeTree(root, {
    '.git/HEAD': 'ref: refs/heads/main\n',
    '.git/objects/ab/cd': '',
    '.git/refs/heads/main': '',
  });
  await writeTree(root, { '.git/objects/pack/p.pack': '', '.git/objects/info/alternates': '' });
  await mkdir(join(base, 'outside'));
});
afterEach(() => removeFolder(base));

const allowed = () => join(base, 'allowed');
const look = (now_ms?: () => number) =>
  sealOf(
    { root, top_level: root, git_folders: [join(root, '.git')] },
    { allowed_roots: [allowed()], forbidden_roots: [] },
    now_ms,
  );

/** Seals are refused until the clock of the file system has moved on; that is what is waited for here. */
const sealed = async (): Promise<Seal> => {
  for (;;) {
    const seal = await look();
    if (seal.state !== 'unsettled') return seal;
    await pause(5);
  }
};

describe('the seal of a repository', () => {
  it('is the same as long as nothing changes', async () => {
    const before = await sealed();
    expect(before.state).toBe('sealed');
    expect(isSame(before, await sealed())).toBe(true);
  });

  it('is not made of what changed just now (C3)', async () => {
    await writeFile(join(root, '.git/HEAD'), 'ref: refs/heads/other\n');
    const { ctimeMs } = await stat(join(root, '.git/HEAD'));
    expect((await look(() => ctimeMs + 1)).state).toBe('unsettled');
    expect((await look(() => ctimeMs + 1_000)).state).toBe('sealed');
    // A server's clock that is far ahead never settles.
    expect((await look(() => ctimeMs - 1_000)).state).toBe('sealed');
  });

  it.each(['', '.git', '.git/objects', '.git/objects/ab', '.git/objects/pack', '.git/refs/heads', '..'])(
    'is another after "%s" was swapped for a link and back (C2)',
    async (part) => {
      const place = join(root, part);
      const before = await sealed();
      await rename(place, join(base, 'away'));
      await symlink(join(base, 'outside'), place);
      await rm(place);
      await rename(join(base, 'away'), place);
      expect(isSame(before, await sealed())).toBe(false);
    },
  );

  it('is another after a list of borrowed objects was written over and back, whatever time it is given (C2)', async () => {
    const list = join(root, '.git/objects/info/alternates');
    const before = await sealed();
    await writeFile(list, `${base}/outside\n`);
    expect((await sealed()).state).toBe('led_out');
    await writeFile(list, '');
    await utimes(list, 0, 0);
    expect(isSame(before, await sealed())).toBe(false);
  });

  it('is none where a place leads outside (C1)', async () => {
    await symlink(join(base, 'outside'), join(root, '.git/objects/ef'));
    expect((await sealed()).state).toBe('led_out');
  });
});
