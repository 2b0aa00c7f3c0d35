import { mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeFolder, temporaryFolder, writeTree } from './memory-context.fixture.js';
import { inRealFolder, openReal, provenByHandle, provenByPath, readReal, realSize } from './real-files.js';

let base = '';
beforeEach(async () => {
  base = await temporaryFolder();
  await writeTree(base, { 'root/d/f.txt': 'inside', 'root/d/e/g.txt': 'deeper', 'outside/f.txt': 'outside!' });
  await mkdir(join(base, 'outside/e'));
});
afterEach(() => removeFolder(base));

const at = (path: string) => Buffer.from(join(base, 'root', path));
const swap = async () => {
  await rename(join(base, 'root/d'), join(base, 'root/moved'));
  await symlink(join(base, 'outside'), join(base, 'root/d'));
};

/** Swapped after the path was looked at and before it is opened. */
const lookedAtBefore = { ...provenByPath, before: swap };
const moved = { name: 'MovedAway', code: 'MOVED' };

const proofs =
  process.platform === 'linux'
    ? ([
        ['handle', provenByHandle],
        ['path', provenByPath],
      ] as const)
    : ([['path', provenByPath]] as const);

describe.each(proofs)('a real path proven by %s', (_name, proof) => {
  it('is read, listed and measured', async () => {
    expect((await readReal(at('d/f.txt'), 6, proof))?.toString()).toBe('inside');
    expect(await readReal(at('d/f.txt'), 5, proof)).toBeUndefined();
    expect(await inRealFolder(at('d'), (within) => readdir(within), proof)).toEqual(['e', 'f.txt']);
    expect(await realSize(at('d/f.txt'), proof)).toBe(6);
  });

  it('leads nowhere once a folder above was swapped for a link (L1, L3)', async () => {
    await swap();
    await expect(openReal(at('d/f.txt'), 'any', proof)).rejects.toMatchObject(moved);
    await expect(readReal(at('d/f.txt'), 100, proof)).rejects.toMatchObject(moved);
    await expect(realSize(at('d/e/g.txt'), proof)).rejects.toMatchObject(moved);
    await expect(inRealFolder(at('d/e'), (within) => readdir(within), proof)).rejects.toMatchObject(moved);
  });

  it('lists the folder that was opened, or nothing, when it is swapped while it is listed (L2)', async () => {
    const listed: string[] = [];
    const listing = inRealFolder(
      at('d'),
      async (within) => {
        await swap();
        await writeFile(join(base, 'outside/stranger.txt'), '');
        listed.push(...(await readdir(within)));
      },
      proof,
    );
    await expect(listing).rejects.toMatchObject(moved);
    if (proof === provenByHandle) expect(listed).toEqual(['e', 'f.txt']);
  });

  it('is no pipe, folder or link', async () => {
    await symlink(join(base, 'outside/f.txt'), at('link'));
    await expect(readReal(at('link'), 100, proof)).rejects.toThrow();
    await expect(readReal(at('d'), 100, proof)).rejects.toMatchObject(moved);
    await expect(inRealFolder(at('d/f.txt'), (within) => readdir(within), proof)).rejects.toMatchObject({
      code: 'ENOTDIR',
    });
  });
});

it('a path that was right before the opening is looked at again after it (L4)', async () => {
  await expect(readReal(at('d/f.txt'), 100, lookedAtBefore)).rejects.toMatchObject(moved);
});
