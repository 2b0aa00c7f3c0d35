// The packages of the lockfile, in node_modules.
//
//   I1. Nothing is installed while node_modules already holds what the lockfile names, whoever put it there.
//   I2. The stamp is written after the last package: an install that was cut short is done again.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartFault } from './fault.mjs';
import { withLock } from './lock.mjs';
import { cacheFolder, run } from './programs.mjs';

const stampOf = (root) => join(root, 'node_modules', '.nexusmon-install');

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** npm's own note of what it put into node_modules, against the lockfile. */
const holdsAll = (root) => {
  const note = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(note)) return false;
  const there = readJson(note).packages;
  return Object.entries(readJson(join(root, 'package-lock.json')).packages).every(([path, wanted]) => {
    if (!path.startsWith('node_modules/')) return true;
    const found = there[path];
    if (!found) return wanted.optional === true || wanted.peer === true;
    return found.link === wanted.link && found.version === wanted.version && found.integrity === wanted.integrity;
  });
};

const isCurrent = (root, hash) => {
  const stamp = stampOf(root);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
};

/** npm by the path it told us, or by name when we were not started by it. */
const npm = (environment) =>
  environment.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, [environment.npm_execpath]] : ['npm', []];

/** Says whether it had to. */
export const install = async (root, environment, { say = () => undefined, started = () => undefined } = {}) => {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (isCurrent(root, hash)) return false;
  const place = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const waiting = (pid) => say(`process ${pid} is installing; waiting for it`);
  const work = async () => {
    if (isCurrent(root, hash)) return false;
    const needed = !holdsAll(root);
    if (needed) {
      say('installing packages with npm');
      const [command, args] = npm(environment);
      const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
      const { code, tail } = await run(command, [...args, ...options], { cwd: root, env: environment, started });
      if (code !== 0) throw new StartFault(`the packages could not be installed; npm says:\n${tail}`);
    }
    writeFileSync(stampOf(root), hash);
    return needed;
  };
  return withLock(join(cacheFolder(environment), 'locks', `${place}.install`), work, waiting);
};
