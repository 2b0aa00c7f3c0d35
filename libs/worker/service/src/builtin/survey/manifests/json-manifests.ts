import type { Dependency } from '@nexusmon/worker-contract';
import { isRecord, jsonRecord, textEntries } from './reading.js';
import type { ReadManifest } from './reading.js';

const NPM_SECTIONS = [
  ['dependencies', 'runtime'],
  ['devDependencies', 'development'],
  ['peerDependencies', 'peer'],
  ['optionalDependencies', 'optional'],
] as const;

export const readPackageJson: ReadManifest = (source) => {
  const document = jsonRecord(source);
  const dependencies = NPM_SECTIONS.flatMap(([section, kind]) =>
    textEntries(document[section]).map(([name, version]) => ({ ecosystem: 'npm' as const, name, version, kind })),
  );
  const several: unknown = document['licenses'];
  const stated: unknown[] = [document['license'], ...(Array.isArray(several) ? (several as unknown[]) : [])];
  return { dependencies, licences: stated.flatMap(statedLicence) };
};

/** npm has had three spellings: a text, an object with `type`, and a list of either. */
const statedLicence = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  return isRecord(value) && typeof value['type'] === 'string' ? [value['type']] : [];
};

const COMPOSER_SECTIONS = [
  ['require', 'runtime'],
  ['require-dev', 'development'],
] as const;

export const readComposerJson: ReadManifest = (source) => {
  const document = jsonRecord(source);
  const dependencies = COMPOSER_SECTIONS.flatMap(([section, kind]) =>
    textEntries(document[section]).map(([name, version]) => {
      // What has no vendor is the language itself or an extension of it, not a package.
      const stated: Dependency['kind'] = name.includes('/') ? kind : 'platform';
      return { ecosystem: 'packagist' as const, name, version, kind: stated };
    }),
  );
  const licence = document['license'];
  return { dependencies, licences: Array.isArray(licence) ? licence.flatMap(statedLicence) : statedLicence(licence) };
};

export type LockedPackage = Readonly<{ name: string; version: string; licence: string }>;

const MODULES = 'node_modules/';

/** The packages of a package-lock.json (versions 2 and 3) whose licence it states, the outermost first. */
export const readPackageLock = (source: string): readonly LockedPackage[] => {
  const packages = jsonRecord(source)['packages'];
  if (!isRecord(packages)) return [];
  const outermost_first = Object.entries(packages).sort(([a], [b]) => a.length - b.length);
  return outermost_first.flatMap(([path, entry]) => {
    const at = path.lastIndexOf(MODULES);
    if (at === -1 || !isRecord(entry)) return [];
    const [licence] = statedLicence(entry['license']);
    const version = typeof entry['version'] === 'string' ? entry['version'] : '';
    return licence === undefined ? [] : [{ name: path.slice(at + MODULES.length), version, licence }];
  });
};
