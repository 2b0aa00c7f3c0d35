import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeFolder, temporaryFolder, writeTree } from '../../memory-context.fixture.js';
import { declarationsOf } from './declarations.js';
import { licenceOf } from './licence-text.js';
import { readPom } from './text-manifests.js';
import { parseToml } from './toml.js';

let root = '';
beforeEach(async () => {
  root = await temporaryFolder();
});
afterEach(() => removeFolder(root));

const declared = async (files: Readonly<Record<string, string>>) => {
  await writeTree(root, files);
  const listed = Object.keys(files).map(async (path) => ({
    path: Buffer.from(path),
    size: (await stat(join(root, path))).size,
  }));
  return declarationsOf(root, await Promise.all(listed), new AbortController().signal);
};

const lines = async (file: string, content: string) =>
  (await declared({ [file]: content })).dependencies.map(({ name, version, kind }) => `${name} ${version} ${kind}`);

describe('the dependencies of a tree', () => {
  it('are read from package.json, with licences from the nearest lock file (D2)', async () => {
    const lock = {
      lockfileVersion: 3,
      packages: {
        '': { name: 'x', license: 'MIT' },
        'node_modules/b/node_modules/a': { version: '1.0.0', license: 'GPL-3.0' },
        'node_modules/a': { version: '2.0.0', license: 'ISC' },
        'node_modules/@s/c': { version: '3.0.0', license: { type: 'BSD-2-Clause' } },
      },
    };
    const found = await declared({
      'package.json': JSON.stringify({
        license: 'MIT',
        dependencies: { a: '^2' },
        devDependencies: { '@s/c': '3', z: '1' },
      }),
      'libs/x/package.json': JSON.stringify({ peerDependencies: { a: '*' }, optionalDependencies: { o: '1' } }),
      'package-lock.json': JSON.stringify(lock),
    });
    expect(found.dependencies.map(({ manifest, ...rest }) => [manifest, ...Object.values(rest)].join(' '))).toEqual([
      'package.json npm a ^2 runtime ISC',
      'package.json npm @s/c 3 development BSD-2-Clause',
      'package.json npm z 1 development',
      'libs/x/package.json npm a * peer ISC',
      'libs/x/package.json npm o 1 optional',
    ]);
    expect(found.project_licences).toEqual([{ licence: 'MIT', source: 'package.json' }]);
    expect(found.locked[0]?.packages).toHaveLength(3);
  });

  it('are read from requirements files', async () => {
    const content =
      '# no\nflask[async]>=2,<3 ; python_version > "3"\n-r other.txt\nrequests==2.1 # why\nhttps://x/y.whl\nnumpy\n';
    expect(await lines('requirements.txt', content)).toEqual([
      'flask >=2,<3 runtime',
      'requests ==2.1 runtime',
      'numpy  runtime',
    ]);
    expect(await lines('requirements-dev.txt', 'pytest')).toEqual(['pytest  development']);
  });

  it('are read from pyproject.toml', async () => {
    const content = `
[build-system]
requires = ["hatchling>=1"]
[project]
name = 'x' # a comment
license = { text = "MIT" }
dependencies = [
  "flask>=2", # why
  'requests[socks]',
]
[project.optional-dependencies]
test = ["pytest"]
[tool.poetry.dependencies]
python = "^3.11"
django = { version = "4.2", extras = ["a"] }
[tool.poetry.group.dev.dependencies]
black = "*"
[[tool.other]]
a.b = 1
`;
    expect(await lines('pyproject.toml', content)).toEqual([
      ...['flask >=2 runtime', 'requests  runtime', 'pytest  optional', 'hatchling >=1 build'],
      ...['python ^3.11 platform', 'django 4.2 runtime', 'black * development'],
    ]);
  });

  it('are read from Cargo.toml', async () => {
    const content = `
[package]
license = "MIT OR Apache-2.0"
[dependencies]
serde = { version = "1", features = ["derive"] }
rand = "0.8"
renamed = { package = "real", version = "2", optional = true }
[dev-dependencies]
proptest = "1"
[target.'cfg(unix)'.dependencies]
libc = "0.2"
[workspace.dependencies.tokio]
version = "1"
`;
    expect(await lines('Cargo.toml', content)).toEqual([
      ...['serde 1 runtime', 'rand 0.8 runtime', 'real 2 optional', 'proptest 1 development'],
      ...['tokio 1 runtime', 'libc 0.2 runtime'],
    ]);
  });

  it('are read from go.mod', async () => {
    const content =
      'module x\n\ngo 1.22\n\nrequire golang.org/x/sys v0.1.0\n\nrequire (\n\tgithub.com/a/b v1.2.3 // indirect\n\tc.d/e v0.0.0-2020\n)\n\nreplace c.d/e => ../e\n';
    expect(await lines('go.mod', content)).toEqual([
      ...['golang.org/x/sys v0.1.0 runtime', 'github.com/a/b v1.2.3 indirect', 'c.d/e v0.0.0-2020 runtime'],
    ]);
  });

  it('are read from a Gemfile', async () => {
    const content =
      "source 'https://x'\ngem 'rails', '~> 7.0', '>= 7.0.1'\ngroup :development, :test do\n  gem \"rspec\"\nend\ngem 'puma', require: false\n";
    expect(await lines('Gemfile', content)).toEqual([
      'rails ~> 7.0, >= 7.0.1 runtime',
      'rspec  development',
      'puma  runtime',
    ]);
  });

  it('are read from composer.json', async () => {
    const content = JSON.stringify({
      license: 'MIT',
      require: { php: '>=8', 'a/b': '^1' },
      'require-dev': { 'c/d': '2' },
    });
    expect(await lines('composer.json', content)).toEqual(['php >=8 platform', 'a/b ^1 runtime', 'c/d 2 development']);
  });

  it('are read from pom.xml', async () => {
    const content = `<project><properties><v>1.2</v></properties><licenses><license><name>Apache-2.0</name></license></licenses>
<!-- <dependency><groupId>no</groupId></dependency> -->
<dependencies><dependency><groupId>org.a</groupId><artifactId>b</artifactId><version>\${v}</version></dependency>
<dependency><groupId>junit</groupId><artifactId>junit</artifactId><scope>test</scope></dependency></dependencies></project>`;
    const found = await declared({ 'pom.xml': content });
    expect(found.dependencies.map(({ name, version, kind }) => `${name} ${version} ${kind}`)).toEqual([
      ...['org.a:b 1.2 runtime', 'junit:junit  development'],
    ]);
    expect(found.project_licences).toEqual([{ licence: 'Apache-2.0', source: 'pom.xml' }]);
  });

  it('of a manifest that cannot be understood are told as a problem, and the others count (D1)', async () => {
    const found = await declared({
      'a/package.json': '{',
      'b/package.json': '[]',
      'c/Cargo.toml': '[dependencies\nx = ',
      'd/package.json': '\uFEFF{"dependencies":{"x":"1","y":2}}',
    });
    expect(found.problems.map(({ manifest }) => manifest)).toEqual([
      'a/package.json',
      'b/package.json',
      'c/Cargo.toml',
    ]);
    expect(found.dependencies.map(({ name }) => name)).toEqual(['x']);
  });

  it('of a file of unclosed elements or brackets are found without hanging', () => {
    expect(readPom('<dependency>'.repeat(200_000), 'pom.xml').dependencies).toHaveLength(200_000);
    expect(() => parseToml(`a = ${'['.repeat(100_000)}`)).toThrow('nested too deep');
    expect(() => parseToml(`a = "${'x'.repeat(100_000)}`)).toThrow('expected');
  });
});

describe('a TOML reader', () => {
  it('reads what manifests write', () => {
    const source = `"quoted key" = "a\\"b\\u00e9"\nmulti = """
line \\
   joined"""\nliteral = 'C:\\x'\ndate = 2024-01-02 03:04:05Z\n[[list]]\nn = 1\n[[list]]\nn = 2\n[list.sub]\nx = { y.z = true }\n`;
    const read = parseToml(source);
    expect(read.get('quoted key')).toBe('a"bé');
    expect(read.get('multi')).toBe('\nline joined');
    expect(read.get('literal')).toBe('C:\\x');
    expect(read.get('date')).toBe('2024-01-02 03:04:05Z');
    const list = read.get('list') as Map<string, unknown>[];
    expect(list.map((item) => item.get('n'))).toEqual(['1', '2']);
    expect(list[1]?.get('sub')).toEqual(new Map([['x', new Map([['y', new Map([['z', 'true']])]])]]));
  });

  it.each(['a', 'a =', '[a', 'a = [1', 'a = "x', 'a = 1 b = 2', '= 1', 'a = {x = 1'])('refuses %j', (source) => {
    expect(() => parseToml(source)).toThrow(/^line 1: /);
  });
});

describe('a licence', () => {
  const permission =
    'Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software, without restriction';
  const bsd = 'Redistribution and use in source and binary forms, with or without modification';
  it.each([
    [permission, 'MIT'],
    [
      '                                 Apache License\n                           Version 2.0, January 2004',
      'Apache-2.0',
    ],
    [`${bsd} * Neither the name of X nor … used to endorse or promote products`, 'BSD-3-Clause'],
    [`${bsd} are permitted`, 'BSD-2-Clause'],
    [
      'GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007 … use the GNU Lesser General Public License instead',
      'GPL-3.0',
    ],
    ['GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991', 'GPL-2.0'],
    ['GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999', 'LGPL-2.1'],
    ['GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3', 'AGPL-3.0'],
    ['Mozilla Public License Version 2.0\n====', 'MPL-2.0'],
    [
      'Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright',
      'ISC',
    ],
    ['All rights reserved.', 'unrecognised'],
  ])('is named by its telltale phrases: %j', (text, licence) => {
    expect(licenceOf(text)).toBe(licence);
  });
});
