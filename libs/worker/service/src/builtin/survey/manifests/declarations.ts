// What a tree says about its dependencies and licences, from the manifests in it.
//
//   D1. A manifest that cannot be understood is named with its problem; the others still count.
//   D2. A licence of a dependency comes only from a lock file: nothing is looked up and nothing guessed.

import type { Dependency } from '@nexusmon/worker-contract';
import { readReal } from '../../real-files.js';
import { faultCode, isGone, isUnreadable } from '../file-faults.js';
import { oneLine, pathText } from '../path-text.js';
import { below } from '../walk.js';
import { readComposerJson, readPackageJson, readPackageLock } from './json-manifests.js';
import type { LockedPackage } from './json-manifests.js';
import { isLicenceFile, LICENCE_BYTES_MAX, licenceOf } from './licence-text.js';
import { ManifestProblem } from './reading.js';
import type { ReadManifest } from './reading.js';
import { readGemfile, readGoMod, readPom, readRequirements } from './text-manifests.js';
import { readCargoToml, readPyproject } from './toml-manifests.js';

export const MANIFEST_BYTES_MAX = 32 * 1024 * 1024;
const NAME_CHARACTERS = 200;
const PACKAGE_LOCK = 'package-lock.json';

const READERS: ReadonlyMap<string, ReadManifest> = new Map([
  ['package.json', readPackageJson],
  ['composer.json', readComposerJson],
  ['Cargo.toml', readCargoToml],
  ['pyproject.toml', readPyproject],
  ['go.mod', readGoMod],
  ['Gemfile', readGemfile],
  ['pom.xml', readPom],
]);
const REQUIREMENTS = /^([a-z]+[-_.])?requirements([-_.][A-Za-z0-9_.-]+)?\.txt$/;

export type Declarations = {
  dependencies: Dependency[];
  problems: { manifest: string; problem: string }[];
  project_licences: { licence: string; source: string }[];
  locked: { folder: string; packages: readonly LockedPackage[] }[];
};

type Listed = Readonly<{ path: Buffer; size: number }>;

export const declarationsOf = async (
  root: string,
  files: readonly Listed[],
  signal: AbortSignal,
): Promise<Declarations> => {
  const found: Declarations = { dependencies: [], problems: [], project_licences: [], locked: [] };
  for (const file of files) {
    const name = nameOf(file.path);
    const reader = readerOf(name);
    if (reader === undefined && name !== PACKAGE_LOCK && !isLicenceFile(name)) continue;
    signal.throwIfAborted();
    const manifest = pathText(file.path);
    try {
      const source = await sourceOf(root, file, name);
      if (isLicenceFile(name)) found.project_licences.push({ licence: licenceOf(source), source: manifest });
      else if (reader) declare(found, manifest, reader(source, name));
      else found.locked.push({ folder: folderOf(manifest), packages: readPackageLock(source) });
    } catch (error) {
      if (!(error instanceof ManifestProblem)) throw error;
      found.problems.push({ manifest, problem: oneLine(error.message, NAME_CHARACTERS) });
    }
  }
  return { ...found, dependencies: withLicences(found) };
};

const nameOf = (path: Buffer) => path.subarray(path.lastIndexOf(0x2f) + 1).toString('latin1');
const readerOf = (name: string) => READERS.get(name) ?? (REQUIREMENTS.test(name) ? readRequirements : undefined);
const folderOf = (path: string) => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');

const sourceOf = async (root: string, file: Listed, name: string) => {
  try {
    const bytes = await readReal(below(Buffer.from(root), file.path), MANIFEST_BYTES_MAX);
    if (bytes === undefined) throw new ManifestProblem(`larger than ${MANIFEST_BYTES_MAX} bytes`);
    return bytes.toString('utf8', 0, isLicenceFile(name) ? LICENCE_BYTES_MAX : bytes.length).replace(/^\uFEFF/, '');
  } catch (error) {
    const code = faultCode(error);
    if (isGone(code) || isUnreadable(code)) throw new ManifestProblem(`cannot be read (${code})`, { cause: error });
    throw error;
  }
};

const declare = (found: Declarations, manifest: string, declared: ReturnType<ReadManifest>) => {
  for (const dependency of declared.dependencies) {
    const name = oneLine(dependency.name, NAME_CHARACTERS);
    found.dependencies.push({ manifest, ...dependency, name, version: oneLine(dependency.version, NAME_CHARACTERS) });
  }
  for (const licence of declared.licences)
    found.project_licences.push({ licence: oneLine(licence, NAME_CHARACTERS), source: manifest });
};

/** The lock file of the nearest folder at or above the manifest speaks for it: workspaces share one. */
const withLicences = ({ dependencies, locked }: Declarations): Dependency[] => {
  const by_folder = new Map(locked.map(({ folder, packages }) => [folder, licenceByName(packages)]));
  return dependencies.map((dependency) => {
    if (dependency.ecosystem !== 'npm') return dependency;
    for (let folder = folderOf(dependency.manifest); ; folder = folderOf(folder)) {
      const licence = by_folder.get(folder)?.get(dependency.name);
      if (licence !== undefined) return { ...dependency, licence: oneLine(licence, NAME_CHARACTERS) };
      if (folder === '') return dependency;
    }
  });
};

/** The outermost package of a name is the one that a manifest beside the lock file gets; it comes first in the list. */
const licenceByName = (packages: readonly LockedPackage[]) =>
  new Map(packages.toReversed().map(({ name, licence }) => [name, licence]));
