// Tables are made by `admin`, once per change of the migrations.
//
//   M1. What has been applied is written in the database itself: a database that was replaced is migrated again.

import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from './child.js';
import { StartFault } from './fault.js';
import { tail } from './log-files.js';
import { readMark, writeMark } from './provision.js';
import type { Credentials } from './secrets.js';

const MARK = 'migrations';

export type MigrationOptions = Readonly<{
  root: string;
  node: string;
  database_url: string;
  admin: Credentials;
  environment: Readonly<Record<string, string>>;
  log_file: string;
}>;

const hashOf = (root: string, script: string): string => {
  const hash = createHash('sha256');
  const files = globSync('libs/*/*/dist/**/*.js', { cwd: root })
    .filter((path) => /migrat/.test(path))
    .sort();
  for (const path of files) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  return hash.update(readFileSync(script)).digest('hex');
};

/** Says whether there was anything to do. */
export const migrate = async (options: MigrationOptions): Promise<'current' | 'migrated' | 'absent'> => {
  const { root, node, database_url, admin, environment, log_file } = options;
  const script = join(root, 'apps', 'standalone', 'dist', 'migrate.js');
  if (!existsSync(script)) return 'absent';
  const mark = `${MARK} ${hashOf(root, script)}`;
  if ((await readMark(database_url, admin)) === mark) return 'current';

  const admin_url = new URL(database_url);
  admin_url.username = encodeURIComponent(admin.user);
  admin_url.password = encodeURIComponent(admin.password);
  const child = await startChild({
    name: 'migrate',
    command: node,
    args: ['--enable-source-maps', script],
    env: { ...environment, DATABASE_ADMIN_URL: admin_url.toString() },
    cwd: root,
    log_file,
  });
  const { code } = await child.exited;
  if (code !== 0) throw new StartFault(`the database could not be migrated; ${log_file} ends with:\n${tail(log_file)}`);
  await writeMark(database_url, admin, mark);
  return 'migrated';
};
