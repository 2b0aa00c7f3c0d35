// The language of a file, by its name, or by its first line where it has no telling name.

export const BINARY = 'Binary';
export const OTHER_TEXT = 'Other text';

const BY_LANGUAGE: Readonly<Record<string, string>> = {
  Ada: 'adb ads',
  Assembly: 's asm',
  Astro: 'astro',
  Batch: 'bat cmd',
  C: 'c',
  'C or C++ header': 'h hh hpp hxx inl',
  'C#': 'cs',
  'C++': 'cc cpp cxx',
  Clojure: 'clj cljs cljc edn',
  CoffeeScript: 'coffee',
  CSS: 'css',
  CSV: 'csv tsv',
  CUDA: 'cu cuh',
  D: 'd',
  Dart: 'dart',
  Elixir: 'ex exs',
  Elm: 'elm',
  'Emacs Lisp': 'el',
  Erlang: 'erl hrl',
  'F#': 'fs fsi fsx',
  Fortran: 'f f90 f95 f03 for',
  Go: 'go',
  Gradle: 'gradle',
  GraphQL: 'graphql gql',
  Groovy: 'groovy',
  Haskell: 'hs lhs',
  HCL: 'hcl tf tfvars',
  HTML: 'html htm xhtml',
  INI: 'ini cfg conf properties',
  Java: 'java',
  JavaScript: 'js mjs cjs jsx',
  JSON: 'json jsonc json5 jsonl ndjson webmanifest',
  Julia: 'jl',
  'Jupyter notebook': 'ipynb',
  Kotlin: 'kt kts',
  Less: 'less',
  Lua: 'lua',
  Markdown: 'md markdown mdx',
  Nim: 'nim',
  Nix: 'nix',
  OCaml: 'ml mli',
  'Objective-C': 'm mm',
  Pascal: 'pas pp',
  Patch: 'diff patch',
  Perl: 'pl pm',
  PHP: 'php',
  PowerShell: 'ps1 psm1 psd1',
  'Protocol Buffers': 'proto',
  Python: 'py pyi pyx pyw',
  R: 'r rmd',
  reStructuredText: 'rst',
  Ruby: 'rb rake gemspec',
  Rust: 'rs',
  Sass: 'sass scss',
  Scala: 'scala sbt sc',
  Scheme: 'scm ss rkt',
  Shell: 'sh bash zsh fish ksh',
  Solidity: 'sol',
  SQL: 'sql',
  Svelte: 'svelte',
  SVG: 'svg',
  Swift: 'swift',
  Tcl: 'tcl',
  TeX: 'tex sty cls bib',
  Text: 'txt text log',
  TOML: 'toml',
  TypeScript: 'ts mts cts tsx',
  'Visual Basic': 'vb vbs',
  Vue: 'vue',
  WebAssembly: 'wat wast',
  XML: 'xml xsd xsl xslt plist csproj fsproj vbproj',
  YAML: 'yaml yml',
  Zig: 'zig',
};

const BY_NAME: ReadonlyMap<string, string> = new Map([
  ['dockerfile', 'Dockerfile'],
  ['containerfile', 'Dockerfile'],
  ['makefile', 'Makefile'],
  ['gnumakefile', 'Makefile'],
  ['cmakelists.txt', 'CMake'],
  ['gemfile', 'Ruby'],
  ['rakefile', 'Ruby'],
  ['go.mod', 'Go module'],
  ['go.sum', 'Go module'],
  ['readme', 'Text'],
  ['license', 'Text'],
  ['licence', 'Text'],
  ['copying', 'Text'],
  ['build.bazel', 'Starlark'],
]);

const BY_EXTENSION: ReadonlyMap<string, string> = new Map([
  ...Object.entries(BY_LANGUAGE).flatMap(([language, extensions]) =>
    extensions.split(' ').map((extension) => [extension, language] as const),
  ),
  ['mk', 'Makefile'] as const,
  ['cmake', 'CMake'] as const,
  ['bzl', 'Starlark'] as const,
]);

const BY_INTERPRETER: readonly (readonly [RegExp, string])[] = [
  [/^#!.*\b(ba|da|z|k|fi)?sh\b/, 'Shell'],
  [/^#!.*\bpython[\d.]*\b/, 'Python'],
  [/^#!.*\b(node|deno|bun)\b/, 'JavaScript'],
  [/^#!.*\bperl\b/, 'Perl'],
  [/^#!.*\bruby\b/, 'Ruby'],
  [/^#!.*\bphp\b/, 'PHP'],
];

const FIRST_LINE_BYTES = 128;

export const languageOf = (path: Buffer, is_text: boolean, beginning: Buffer): string => {
  if (!is_text) return BINARY;
  const name = path
    .subarray(path.lastIndexOf(0x2f) + 1)
    .toString('latin1')
    .toLowerCase();
  const dot = name.lastIndexOf('.');
  const named = BY_NAME.get(name) ?? (dot >= 0 ? BY_EXTENSION.get(name.slice(dot + 1)) : undefined);
  if (named !== undefined) return named;
  const [first_line = ''] = beginning.toString('latin1', 0, FIRST_LINE_BYTES).split('\n');
  return BY_INTERPRETER.find(([pattern]) => pattern.test(first_line))?.[1] ?? OTHER_TEXT;
};
