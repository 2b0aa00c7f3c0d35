import type { Dependency } from '@nexusmon/worker-contract';
import type { ReadManifest } from './reading.js';

type Kind = Dependency['kind'];

const REQUIREMENT = /^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?(.*)$/;

/** A requirement as pip writes it: name, extras, version, and a condition after `;` that is left out. */
export const requirement = (line: string): { name: string; version: string } | undefined => {
  const [stated = ''] = line.trim().split(/;|\s#/, 1);
  const found = REQUIREMENT.exec(stated.trim());
  if (!found) return undefined;
  const [, name = '', , rest = ''] = found;
  return { name, version: rest.trim().replace(/^\((.*)\)$/, '$1') };
};

/** Options, other files and bare addresses name no package. */
export const readRequirements: ReadManifest = (source, name) => {
  const kind: Kind = /dev|test|lint|docs/i.test(name) ? 'development' : 'runtime';
  const lines = source
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim());
  const dependencies = lines.flatMap((line) => {
    if (line === '' || line.startsWith('#') || line.startsWith('-') || /^[a-z+]+:\/\//i.test(line)) return [];
    const found = requirement(line.split(' --', 1)[0] ?? '');
    return found ? [{ ecosystem: 'pypi' as const, ...found, kind }] : [];
  });
  return { dependencies, licences: [] };
};

export const readGoMod: ReadManifest = (source) => {
  const dependencies: { ecosystem: 'go'; name: string; version: string; kind: Kind }[] = [];
  let in_block = false;
  for (const raw of source.split('\n')) {
    const line = raw.trim();
    if (in_block && line.startsWith(')')) in_block = false;
    else if (/^require\s*\(/.test(line)) in_block = true;
    else {
      const stated = in_block ? line : /^require\s+(.*)$/.exec(line)?.[1];
      const found = stated === undefined ? null : /^"?([^\s"/][^\s"]*)"?\s+(v\S+)/.exec(stated);
      if (!found) continue;
      const kind = /\/\/\s*indirect/.test(line) ? 'indirect' : 'runtime';
      dependencies.push({ ecosystem: 'go', name: found[1] ?? '', version: found[2] ?? '', kind });
    }
  }
  return { dependencies, licences: [] };
};

const GEM = /^gem[\s(]+['"]([^'"]+)['"]((?:\s*,\s*['"][^'"]*['"])*)/;

export const readGemfile: ReadManifest = (source) => {
  const dependencies: { ecosystem: 'rubygems'; name: string; version: string; kind: Kind }[] = [];
  const groups: Kind[] = [];
  for (const raw of source.split('\n')) {
    const line = raw.trim();
    if (/\bdo(\s*\|[^|]*\|)?$/.test(line)) {
      groups.push(/^group\b.*:(development|test)\b/.test(line) ? 'development' : (groups.at(-1) ?? 'runtime'));
    } else if (line === 'end') groups.pop();
    const found = GEM.exec(line);
    if (!found) continue;
    const inline = /group[s]?:\s*\[?\s*:(development|test)\b/.test(line) ? 'development' : undefined;
    const version = [...(found[2] ?? '').matchAll(/['"]([^'"]*)['"]/g)].map((match) => match[1]).join(', ');
    dependencies.push({
      ecosystem: 'rubygems',
      name: found[1] ?? '',
      version,
      kind: inline ?? groups.at(-1) ?? 'runtime',
    });
  }
  return { dependencies, licences: [] };
};

/**
 * The `<dependency>` elements of a Maven project, with `${…}` taken from its own properties. Cut by text and not by a
 * pattern over the whole: a file of a million unclosed elements must not cost its square.
 */
export const readPom: ReadManifest = (source) => {
  const plain = withoutComments(source);
  const properties = new Map(
    sections(plain, 'properties').flatMap((section) =>
      [...section.matchAll(/<([A-Za-z0-9_.-]+)>([^<>]*)</g)].map(
        (match) => [match[1] ?? '', (match[2] ?? '').trim()] as const,
      ),
    ),
  );
  const resolved = (value: string) =>
    value.replace(/\$\{([^${}]+)\}/g, (whole, name: string) => properties.get(name) ?? whole);
  const dependencies = sections(plain, 'dependency').map((block) => {
    const kind: Kind =
      child(block, 'scope') === 'test' ? 'development' : child(block, 'optional') === 'true' ? 'optional' : 'runtime';
    const name = `${resolved(child(block, 'groupId'))}:${resolved(child(block, 'artifactId'))}`;
    return { ecosystem: 'maven' as const, name, version: resolved(child(block, 'version')), kind };
  });
  return {
    dependencies,
    licences: sections(plain, 'license')
      .map((block) => child(block, 'name'))
      .filter((name) => name !== ''),
  };
};

const sections = (source: string, tag: string): string[] =>
  source
    .split(`<${tag}>`)
    .slice(1)
    .map((rest) => rest.split(`</${tag}>`, 1)[0] ?? '');

const child = (block: string, tag: string) => (sections(block, tag)[0] ?? '').trim();

const withoutComments = (source: string) =>
  source
    .split('<!--')
    .map((part, index) =>
      index === 0 ? part : part.slice(part.includes('-->') ? part.indexOf('-->') + 3 : part.length),
    )
    .join('');
