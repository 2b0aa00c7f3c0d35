import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordOf } from './identity.js';
import { lockFolder } from './lock.js';

const root = mkdtempSync(join(tmpdir(), 'nexusmon-lock-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const newFolder = () => mkdtempSync(join(root, 'data-'));

/** Alive, and not us: the process that runs the specs, or init. */
const other = recordOf('other', process.ppid) ?? recordOf('other', 1);

describe('the lock of a data folder', () => {
  it('is taken, and given back', async () => {
    const folder = newFolder();
    const lock = await lockFolder(folder);
    expect(existsSync(join(folder, 'lock'))).toBe(true);
    lock.release();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it.each([
    {
      held: JSON.stringify({ name: 'supervisor', pid: process.ppid, started: '1' }),
      by: 'a process whose pid is reused',
    },
    { held: JSON.stringify({ name: 'supervisor', pid: 4_194_305, started: '1' }), by: 'a process that is gone' },
    { held: '', by: 'nobody' },
  ])('held by $by is taken over (L1)', async ({ held }) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'lock'), held);
    const lock = await lockFolder(folder);
    lock.release();
  });

  it('held by a living process is not', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'lock'), JSON.stringify(other));
    await expect(lockFolder(folder)).rejects.toThrow(/another instance .* runs on/);
  });

  it('held by one that is stopping is waited for (L4)', async () => {
    const folder = newFolder();
    const path = join(folder, 'lock');
    writeFileSync(path, JSON.stringify({ ...other, stopping: true }));
    const waiting = lockFolder(folder);
    setTimeout(() => rmSync(path), 800);
    (await waiting).release();
  });
});
