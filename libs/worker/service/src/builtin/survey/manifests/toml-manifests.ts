import type { Dependency } from '@nexusmon/worker-contract';
import { ManifestProblem } from './reading.js';
import type { ReadManifest } from './reading.js';
import { parseToml, TomlProblem } from './toml.js';
import type { Toml, TomlTable } from './toml.js';
import { requirement } from './text-manifests.js';

type Kind = Dependency['kind'];

export const readCargoToml: ReadManifest = (source) => {
  const document = parsed(source);
  const targets = [...tableAt(document, 'target').values()].filter((value): value is TomlTable => value instanceof Map);
  const places = [document, tableAt(document, 'workspace'), ...targets];
  const dependencies = places.flatMap((place) => [
    ...crates(tableAt(place, 'dependencies'), 'runtime'),
    ...crates(tableAt(place, 'dev-dependencies'), 'development'),
    ...crates(tableAt(place, 'build-dependencies'), 'build'),
  ]);
  const licence = textAt(tableAt(document, 'package'), 'license');
  return { dependencies, licences: licence === undefined ? [] : [licence] };
};

const crates = (table: TomlTable, kind: Kind) =>
  [...table].map(([name, value]) => {
    const detail = value instanceof Map ? value : undefined;
    const version = typeof value === 'string' ? value : ((detail && textAt(detail, 'version')) ?? '');
    const stated: Kind = detail && textAt(detail, 'optional') === 'true' ? 'optional' : kind;
    return { ecosystem: 'cargo' as const, name: (detail && textAt(detail, 'package')) ?? name, version, kind: stated };
  });

export const readPyproject: ReadManifest = (source) => {
  const document = parsed(source);
  const project = tableAt(document, 'project');
  const poetry = tableAt(tableAt(document, 'tool'), 'poetry');
  const groups = [...tableAt(poetry, 'group').values()].filter((value): value is TomlTable => value instanceof Map);
  const dependencies = [
    ...requirements(project.get('dependencies'), 'runtime'),
    ...[...tableAt(project, 'optional-dependencies').values()].flatMap((list) => requirements(list, 'optional')),
    ...[...tableAt(document, 'dependency-groups').values()].flatMap((list) => requirements(list, 'development')),
    ...requirements(tableAt(document, 'build-system').get('requires'), 'build'),
    ...poetryPackages(tableAt(poetry, 'dependencies'), 'runtime'),
    ...poetryPackages(tableAt(poetry, 'dev-dependencies'), 'development'),
    ...groups.flatMap((group) => poetryPackages(tableAt(group, 'dependencies'), 'development')),
  ];
  const stated = [textAt(project, 'license'), textAt(tableAt(project, 'license'), 'text'), textAt(poetry, 'license')];
  return { dependencies, licences: stated.filter((licence) => licence !== undefined) };
};

const requirements = (list: Toml | undefined, kind: Kind) =>
  (Array.isArray(list) ? list : []).flatMap((item) => {
    const found = typeof item === 'string' ? requirement(item) : undefined;
    return found ? [{ ecosystem: 'pypi' as const, ...found, kind }] : [];
  });

const poetryPackages = (table: TomlTable, kind: Kind) =>
  [...table].map(([name, value]) => {
    const version = typeof value === 'string' ? value : (value instanceof Map && textAt(value, 'version')) || '';
    return { ecosystem: 'pypi' as const, name, version, kind: name === 'python' ? ('platform' as const) : kind };
  });

const parsed = (source: string) => {
  try {
    return parseToml(source);
  } catch (error) {
    if (error instanceof TomlProblem) throw new ManifestProblem(error.message, { cause: error });
    throw error;
  }
};

const tableAt = (table: TomlTable, name: string): TomlTable => {
  const value = table.get(name);
  return value instanceof Map ? value : new Map<string, Toml>();
};

const textAt = (table: TomlTable, name: string): string | undefined => {
  const value = table.get(name);
  return typeof value === 'string' ? value : undefined;
};
