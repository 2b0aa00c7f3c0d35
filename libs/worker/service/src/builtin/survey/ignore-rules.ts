// Which folders are not the project's own work.
//
//   I1. A name is ignored everywhere only when a tool makes folders of that name, or when linguists of code agree that
//       it holds copies of others' work. Nobody keeps sources of their own there.
//   I2. A name that is also a plain English word (`dist`, `build`, `target`) is ignored only beside the manifest of the
//       tool that writes there: the Go tree keeps sources in `cmd/dist` and `go/build`.
//   I3. `.git` is ignored as a file too: in a linked work tree it is one.

import type { IgnoreRules } from '@nexusmon/worker-contract';

const VERSION_CONTROL = ['.git', '.hg', '.svn', '.bzr', '.jj'];
const VENDORED = ['node_modules', 'bower_components', 'jspm_packages', '.pnpm-store', '.yarn', 'vendor', 'third_party'];
const CACHES = [
  ...[
    '__pycache__',
    '.venv',
    '.tox',
    '.nox',
    '.eggs',
    '.mypy_cache',
    '.pytest_cache',
    '.ruff_cache',
    '.ipynb_checkpoints',
  ],
  ...['.gradle', '.terraform', '.dart_tool', '.bundle', '.cache', '.parcel-cache', '.turbo', '.nx', '.nyc_output'],
];
const BUILT = ['.next', '.nuxt', '.output', '.svelte-kit', '.angular', '.docusaurus', '_build', 'DerivedData'];
const OUR_DATA = ['.nexusmon'];

const PYTHON = ['setup.py', 'setup.cfg', 'pyproject.toml'];
const GRADLE = ['build.gradle', 'build.gradle.kts'];
const DOTNET = ['*.csproj', '*.fsproj', '*.vbproj'];

export const ignoreRules: IgnoreRules = {
  names: [...VERSION_CONTROL, ...VENDORED, ...CACHES, ...BUILT, ...OUR_DATA],
  beside: [
    { name: 'dist', beside: ['package.json', ...PYTHON] },
    { name: 'build', beside: [...PYTHON, ...GRADLE] },
    { name: 'target', beside: ['Cargo.toml', 'pom.xml', 'build.sbt'] },
    { name: 'coverage', beside: ['package.json'] },
    { name: 'bin', beside: DOTNET },
    { name: 'obj', beside: DOTNET },
    { name: 'deps', beside: ['mix.exs'] },
    { name: 'Pods', beside: ['Podfile'] },
  ],
  holding: ['pyvenv.cfg'],
};

/** Ignored as a file as well as a folder (I3). */
export const IGNORED_FILE = '.git';
