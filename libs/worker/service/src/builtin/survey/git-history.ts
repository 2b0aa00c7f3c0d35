// The last commits of a work tree, read with the git program.
//
//   G1. Nothing that the repository configures is run: no hook, pager, monitor, signature check, remote helper or lazy
//       fetch. A repository is data that somebody else wrote.
//   G2. Neither the user's nor the system's git settings nor the environment play a part, so that the same tree gives
//       the same answer.
//   G3. git reads no commit outside the allowed roots: neither of a repository above them nor of one that a `.git`
//       file, a link or a list of borrowed objects names, even where one was put there while git ran.
//   G4. Why there are no commits is told: no work tree, none yet, no git program, or git's own words.

import { execFile } from 'node:child_process';
import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { CommitLine, GitState } from '@nexusmon/worker-contract';
import { LAST_COMMITS_MAX } from '@nexusmon/worker-contract';
import { WorkerFault } from '../../worker-plugin.js';
import { faultCode, isGone, isUnreadable } from './file-faults.js';
import { isSame, sealOf } from './git-confinement.js';
import { oneLine } from './path-text.js';

export type GitHistory = Readonly<{ git: GitState; last_commits?: CommitLine[] }>;
export type GitReach = Readonly<{
  root: string;
  allowed_root: string;
  allowed_roots: readonly string[];
  forbidden_roots: readonly string[];
  signal: AbortSignal;
  /** Where the git program is looked for: system folders, so that no setting of the user's can put another in front. */
  search_path?: string;
}>;

export const GIT_SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:/run/current-system/sw/bin';
const TIMEOUT_MS = 20_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
const SUBJECT_CHARACTERS = 200;
const AUTHOR_CHARACTERS = 100;
const DETAIL_CHARACTERS = 300;

const SAFE_FLAGS = [
  ...['--no-pager', '--no-optional-locks', '--no-replace-objects', '--literal-pathspecs'],
  ...[
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'core.pager=cat',
    'core.sshCommand=false',
    'core.askPass=false',
    'credential.helper=',
    'log.showSignature=false',
    'gpg.program=false',
    'gpg.ssh.program=false',
    'gpg.x509.program=false',
    'protocol.allow=never',
    'safe.bareRepository=explicit',
  ].flatMap((setting) => ['-c', setting]),
];

type Answer = Readonly<{ code: number | string; stdout: Buffer; detail: string }>;
export type RunGit = (...args: readonly string[]) => Promise<Answer>;

const TRIES = 4;
/** Longer each time: somebody may be committing. */
const PAUSE_MS = 50;
const CHANGED: GitState = { state: 'failed', detail: 'the repository changed each time it was read' };

export const readHistory = async (reach: GitReach): Promise<GitHistory> => {
  const answer = await readConfined(reach, historyOf);
  return 'state' in answer ? { git: answer } : answer.read;
};

/** What `read` finds out with git, or why git was not asked. Read again when the repository was changed meanwhile. */
export const readConfined = async <Value>(
  reach: GitReach,
  read: (git: RunGit, reach: GitReach & Readonly<{ top_level: string }>) => Promise<Value>,
): Promise<GitState | Readonly<{ read: Value }>> => {
  const above = await gitAbove(reach.root, reach.allowed_root);
  if (above !== 'found') return above;
  const git = gitIn(reach);
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (tries > 0) await pause(PAUSE_MS * tries, undefined, { signal: reach.signal });
    const places = await placesOf(git, reach);
    if ('state' in places) return places;
    const repository = { ...places, root: reach.root };
    const seal = await sealOf(repository, reach);
    if (seal.state === 'led_out')
      return { state: 'outside_allowed_roots', detail: 'the repository lies elsewhere, or borrows from elsewhere' };
    // Asked again under the seal: git finds the repository anew each time.
    if (seal.state === 'unsettled' || !isDeepStrictEqual(await placesOf(git, reach), places)) continue;
    const value = await read(git, { ...reach, top_level: places.top_level });
    if (isSame(seal, await sealOf(repository, reach))) return { read: value };
  }
  return CHANGED;
};

type Places = Readonly<{ top_level: string; git_folders: readonly string[] }>;
const placesOf = async (git: RunGit, { root }: GitReach): Promise<GitState | Places> => {
  const places = await git(
    ...['rev-parse', '--path-format=absolute', '--is-inside-work-tree'],
    ...['--show-toplevel', '--git-dir', '--git-common-dir'],
  );
  // Also the answer where the folder itself is gone, which is no finding but a fault.
  if (places.code === 'ENOENT') await lstat(root);
  if (places.code === 'ENOENT') return { state: 'git_missing', detail: 'there is no git program on this machine' };
  const [inside_work_tree, ...folders] = places.stdout.toString('utf8').trimEnd().split('\n');
  if (inside_work_tree === 'false') return { state: 'not_a_work_tree' };
  if (places.code !== 0) return failed(places);
  const [top_level, ...git_folders] = folders;
  if (top_level === undefined || git_folders.length !== 2)
    return { state: 'failed', detail: 'the folders that git names are not one a line' };
  return { top_level, git_folders };
};

const historyOf = async (git: RunGit, reach: GitReach & Readonly<{ top_level: string }>): Promise<GitHistory> => {
  const head = await git('rev-parse', '--verify', '--quiet', 'HEAD');
  if (head.code === 1) return { git: { state: 'no_commits' } };
  if (head.code !== 0) return { git: failed(head) };
  const log = await git(
    ...['log', `--max-count=${LAST_COMMITS_MAX}`, '-z', '--no-show-signature', '--no-mailmap'],
    ...['--no-color', '--no-decorate', '--encoding=UTF-8'],
    `--format=tformat:%H%x00%<(${AUTHOR_CHARACTERS},trunc)%an%x00%cI%x00%<(${SUBJECT_CHARACTERS},trunc)%s`,
    ...['HEAD', '--', ...(reach.top_level === reach.root ? [] : ['.'])],
  );
  if (log.code !== 0) return { git: failed(log) };
  const last_commits = commitsOf(log.stdout.toString('utf8'));
  return last_commits.length > 0 ? { git: { state: 'read' }, last_commits } : { git: { state: 'no_commits' } };
};

const gitIn =
  ({ root, allowed_root, signal, search_path }: GitReach): RunGit =>
  (...args) =>
    new Promise((resolve, reject) => {
      const options = {
        cwd: root,
        encoding: 'buffer',
        env: environment(allowed_root, search_path ?? GIT_SEARCH_PATH),
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        signal,
        timeout: TIMEOUT_MS,
      } as const;
      execFile('git', [...SAFE_FLAGS, '-c', 'safe.directory=*', ...args], options, (error, stdout, stderr) => {
        if (signal.aborted) reject(new WorkerFault('stopped while reading commits', true, { cause: signal.reason }));
        else if (error === null) resolve({ code: 0, stdout, detail: '' });
        else resolve({ code: error.code ?? 'killed', stdout, detail: stderr.toString('utf8') || error.message });
      });
    });

const environment = (allowed_root: string, search_path: string) => ({
  PATH: search_path,
  LC_ALL: 'C',
  TZ: 'UTC',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_LAZY_FETCH: '1',
  // No protocol has this name: whatever the repository allows for itself, nothing is fetched.
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_CEILING_DIRECTORIES: dirname(allowed_root),
});

const failed = ({ code, detail }: Answer): GitState => ({
  state: 'failed',
  detail: oneLine(`git ended with ${code}: ${detail}`, DETAIL_CHARACTERS),
});

/** Looks for `.git` in the folder or above it, up to the allowed root. Asked first, since git's refusals are prose. */
const gitAbove = async (root: string, allowed_root: string): Promise<GitState | 'found'> => {
  for (let folder = root; ; folder = dirname(folder)) {
    if (basename(folder) === '.git') return { state: 'not_a_work_tree' };
    try {
      await lstat(join(folder, '.git'));
      return 'found';
    } catch (error) {
      const code = faultCode(error);
      if (isUnreadable(code)) return { state: 'failed', detail: `.git cannot be looked for (${code})` };
      if (!isGone(code)) throw error;
    }
    if (folder === allowed_root || folder === dirname(folder)) return { state: 'not_a_work_tree' };
  }
};

const commitsOf = (log: string): CommitLine[] => {
  const fields = log.split('\0');
  const commits: CommitLine[] = [];
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [sha = '', author = '', committed_at = '', subject = ''] = fields.slice(at, at + 4);
    commits.push({
      sha,
      author: oneLine(author, AUTHOR_CHARACTERS),
      // Newer versions of git write Z for this zone.
      committed_at: committed_at.replace(/Z$/, '+00:00'),
      subject: oneLine(subject, SUBJECT_CHARACTERS),
    });
  }
  return commits;
};
