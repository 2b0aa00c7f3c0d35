import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeFolder, temporaryFolder, writeTree } from '../memory-context.fixture.js';
import { GIT_SEARCH_PATH, readHistory } from './git-history.js';

const run = promisify(execFile);
const signal = new AbortController().signal;

let base = '';
let work = '';
beforeEach(async () => {
  base = await temporaryFolder();
  work = join(base, 'work');
  await mkdir(work);
});
afterEach(() => removeFolder(base));

const git = async (folder: string, ...args: string[]) => {
  const identity = ['-c', 'user.name=Ada | `b`', '-c', 'user.email=ada@example.org', '-c', 'commit.gpgSign=false'];
  const env = { PATH: GIT_SEARCH_PATH, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', TZ: 'UTC' };
  const dates = { GIT_AUTHOR_DATE: '2024-05-06T07:08:09+02:00', GIT_COMMITTER_DATE: '2024-05-06T07:08:09+02:00' };
  await run('git', [...identity, '-c', 'init.defaultBranch=main', ...args], { cwd: folder, env: { ...env, ...dates } });
};

const commit = async (folder: string, file: string, message: string) => {
  await writeTree(folder, { [file]: `${file} ${message}` });
  await git(folder, 'add', '.');
  await git(folder, 'commit', '--no-verify', '-m', message);
};

const history = (root = work, { allowed = work, search_path = GIT_SEARCH_PATH } = {}) =>
  readHistory({ root, allowed_root: allowed, allowed_roots: [allowed], forbidden_roots: [], signal, search_path });

describe('the history of a folder', () => {
  it('is absent outside a work tree, and before the first commit (G4)', async () => {
    expect(await history()).toEqual({ git: { state: 'not_a_work_tree' } });
    await git(work, 'init');
    expect(await history()).toEqual({ git: { state: 'no_commits' } });
    expect(await history(join(work, '.git'))).toEqual({ git: { state: 'not_a_work_tree' } });
  });

  it('is the last ten commits, newest first', async () => {
    await git(work, 'init');
    for (let number = 1; number <= 12; number += 1) await commit(work, 'a.txt', `change ${number}\n\nbody`);
    const { git: state, last_commits } = await history();
    expect(state).toEqual({ state: 'read' });
    expect(last_commits?.map(({ subject }) => subject)).toEqual(
      [12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map((number) => `change ${number}`),
    );
    expect(last_commits?.[0]).toMatchObject({ author: 'Ada | `b`', committed_at: '2024-05-06T07:08:09+02:00' });
  });

  it('of a folder inside is of the commits that touched it', async () => {
    await git(work, 'init');
    await commit(work, 'in/a.txt', 'inside');
    await commit(work, 'b.txt', 'outside');
    expect((await history(join(work, 'in'))).last_commits?.map(({ subject }) => subject)).toEqual(['inside']);
    await mkdir(join(work, 'untracked'));
    expect(await history(join(work, 'untracked'))).toEqual({ git: { state: 'no_commits' } });
  });

  it('is read in a linked work tree, where .git is a file', async () => {
    await git(work, 'init');
    await commit(work, 'a.txt', 'first');
    await git(work, 'worktree', 'add', join(base, 'linked'));
    const linked = await history(join(base, 'linked'), { allowed: base });
    expect(linked.last_commits?.map(({ subject }) => subject)).toEqual(['first']);
  });

  it('is not read from outside the allowed roots: above, by a .git file, or by a link (G3)', async () => {
    await git(work, 'init');
    await commit(work, 'inner/a.txt', 'secret');
    const inner = join(work, 'inner');
    expect(await history(inner, { allowed: inner })).toEqual({ git: { state: 'not_a_work_tree' } });
    await git(work, 'worktree', 'add', join(base, 'linked'));
    const linked = join(base, 'linked');
    expect((await history(linked, { allowed: linked })).git.state).toBe('outside_allowed_roots');
    const borrowed = join(base, 'borrowed');
    await mkdir(borrowed);
    await symlink(join(work, '.git'), join(borrowed, '.git'));
    expect((await history(borrowed, { allowed: borrowed })).git.state).toBe('outside_allowed_roots');
  });

  it('is not read where a repository borrows from outside: linked parts, listed objects (G3)', async () => {
    await git(work, 'init');
    await commit(work, 'a.txt', 'secret');
    const state = async (plant: (folder: string) => Promise<void>) => {
      const borrower = join(base, 'borrower');
      await rm(borrower, { recursive: true, force: true });
      await mkdir(borrower);
      await git(borrower, 'init');
      await plant(join(borrower, '.git'));
      return (await history(borrower, { allowed: borrower })).git.state;
    };
    const secret = join(work, '.git');
    const link = (name: string) => async (folder: string) => {
      await rm(join(folder, name), { recursive: true, force: true });
      await symlink(join(secret, name), join(folder, name));
    };
    for (const name of ['refs', 'objects', 'refs/heads', 'packed-refs', 'objects/pack'])
      expect([name, await state(link(name))]).toEqual([name, 'outside_allowed_roots']);
    expect(await state((folder) => symlink(join(secret, 'objects/00'), join(folder, 'objects/00')))).toBe(
      'outside_allowed_roots',
    );
    // git itself takes a folder with such a link for no repository.
    expect(await state(link('HEAD'))).toBe('failed');
    const alternates = (folder: string) => writeTree(folder, { 'objects/info/alternates': `${secret}/objects\n` });
    expect(await state(alternates)).toBe('outside_allowed_roots');
    expect(await state(() => Promise.resolve())).toBe('no_commits');
  });

  it('is not read where what is borrowed from borrows from outside, or one object is a link (G3)', async () => {
    await git(work, 'init');
    await commit(work, 'a.txt', 'secret');
    const borrower = join(base, 'borrower');
    const lender = join(borrower, 'lender');
    await mkdir(lender, { recursive: true });
    await git(borrower, 'init');
    const objects = join(borrower, '.git/objects');
    await writeTree(objects, { 'info/alternates': `${lender}\n` });
    expect((await history(borrower, { allowed: borrower })).git.state).toBe('no_commits');
    await writeTree(lender, { 'info/alternates': `${join(work, '.git/objects')}\n` });
    expect((await history(borrower, { allowed: borrower })).git.state).toBe('outside_allowed_roots');
    await rm(join(objects, 'info/alternates'));
    await mkdir(join(objects, 'ab'));
    await symlink(join(work, 'a.txt'), join(objects, 'ab', 'c'.repeat(38)));
    expect((await history(borrower, { allowed: borrower })).git.state).toBe('outside_allowed_roots');
  });

  /** A git that swaps `.git` for a link to another repository while it shows commits, and back when it is done. */
  const swappingGit = async (other: string, rounds: number) => {
    const real = (await run('which', ['git'], { env: { PATH: GIT_SEARCH_PATH } })).stdout.trim();
    const script = `#!/bin/sh
case " $* " in *" log "*|*" cat-file "*) ;; *) exec ${real} "$@" ;; esac
echo round >> ${base}/rounds
[ $(wc -l < ${base}/rounds) -le ${rounds} ] || exec ${real} "$@"
mv ${work}/.git ${base}/kept
ln -s ${other}/.git ${work}/.git
${real} "$@"
code=$?
rm ${work}/.git
mv ${base}/kept ${work}/.git
exit $code
`;
    await writeTree(base, { 'bin/git': script });
    await chmod(join(base, 'bin/git'), 0o755);
    return `${join(base, 'bin')}:${GIT_SEARCH_PATH}`;
  };

  it('is not read from a repository that is there only while git runs (G3)', async () => {
    const other = join(base, 'other');
    await mkdir(other);
    for (const folder of [work, other]) await git(folder, 'init');
    await commit(other, 'a.txt', 'secret');
    await commit(work, 'a.txt', 'own');
    const always = await history(work, { search_path: await swappingGit(other, 1_000) });
    expect(always.git).toEqual({ state: 'failed', detail: 'the repository changed each time it was read' });
    expect(always.last_commits).toBeUndefined();
    await rm(join(base, 'rounds'));
    const once = await history(work, { search_path: await swappingGit(other, 1) });
    expect(once.last_commits?.map(({ subject }) => subject)).toEqual(['own']);
  });

  it('says when there is no git program, and what git said (G4)', async () => {
    await git(work, 'init');
    await mkdir(join(base, 'empty'));
    expect((await history(work, { search_path: join(base, 'empty') })).git.state).toBe('git_missing');
    await writeFile(join(work, '.git/config'), '[core\n');
    const broken = await history();
    expect(broken.git.state).toBe('failed');
    expect(broken.git.detail).toContain('config');
  });

  it('runs nothing that the repository configures (G1)', async () => {
    await git(work, 'init');
    await commit(work, 'a.txt', 'first');
    const trap = join(base, 'trap.sh');
    await writeFile(trap, `#!/bin/sh\necho run >> ${join(base, 'sprung')}\nexit 0\n`);
    await chmod(trap, 0o755);
    const traps = ['core.fsmonitor', 'core.pager', 'pager.log', 'gpg.program', 'core.sshCommand', 'diff.external'];
    for (const setting of [...traps, 'gpg.ssh.program', 'core.askPass', 'core.editor', 'alias.log'])
      await git(work, 'config', setting, setting === 'alias.log' ? `!${trap}` : trap);
    await git(work, 'config', 'log.showSignature', 'true');
    for (const hook of ['post-checkout', 'post-index-change', 'reference-transaction']) {
      await writeFile(join(work, '.git/hooks', hook), `#!/bin/sh\n${trap}\n`);
      await chmod(join(work, '.git/hooks', hook), 0o755);
    }
    // A missing object of a partial clone makes git call the remote, here a program.
    await git(work, 'config', 'extensions.partialClone', 'origin');
    await git(work, 'config', 'remote.origin.url', `ext::${trap}`);
    await git(work, 'config', 'remote.origin.promisor', 'true');
    await git(work, 'config', 'protocol.ext.allow', 'always');
    await writeFile(join(work, '.git/refs/heads/main'), `${'1'.repeat(40)}\n`);
    await git(work, 'config', 'core.repositoryformatversion', '1');
    await expect(git(work, 'log')).rejects.toThrow('bad object');
    expect(await readdir(base)).toContain('sprung');
    await rm(join(base, 'sprung'));
    expect((await history()).git.state).toBe('failed');
    expect(await readdir(base)).not.toContain('sprung');
  });

  it('cuts long texts and keeps odd ones on one line', async () => {
    await git(work, 'init');
    await commit(work, 'a.txt', `${'long '.repeat(100)}\u202e\u001b[31m`);
    const [line] = (await history()).last_commits ?? [];
    expect(line?.subject.length).toBeLessThanOrEqual(200);
    expect(line?.subject).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});
