// The house rules that a machine can keep. One warning fails the lint, and no comment in a file can switch a rule off.
//
//   L1. Nothing is `any`, no promise floats, every switch over a union names every member.
//   L2. A domain is pure: no clock, no randomness, no I/O, no await, no throw, no class.
//   L3. The environment is read in libs/platform/config and nowhere else.
//   L4. Only the event log and the messaging write to NATS: everything else goes through a decision or a request.
//
// tools/lint.spec.ts plants a violation of each.

import tseslint from 'typescript-eslint';

const SPECS = ['**/*.spec.ts', 'tests/**/*.ts'];

/** For scripts only, where no type checker says which names exist. */
const NODE_GLOBALS = [
  ...['AbortController', 'AbortSignal', 'Buffer', 'TextDecoder', 'TextEncoder', 'URL', 'URLSearchParams', 'console'],
  ...['clearInterval', 'clearTimeout', 'fetch', 'globalThis', 'performance', 'process', 'queueMicrotask'],
  ...['setImmediate', 'setInterval', 'setTimeout', 'structuredClone', 'Response', 'Request', 'Headers', 'WebSocket'],
];

const IMPURE_GLOBALS = [
  ...['Date', 'process', 'console', 'crypto', 'fetch', 'performance', 'globalThis', 'Buffer', 'require'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'queueMicrotask'],
];

const environment = { object: 'process', property: 'env', message: 'Read in libs/platform/config only (L3).' };
const processModule = { name: 'node:process', importNames: ['env', 'default'], message: 'See L3.' };
const randomness = { object: 'Math', property: 'random', message: 'A domain is pure (L2).' };

const swallowed = [
  'CallExpression[callee.property.name="catch"] > ArrowFunctionExpression[body.type="BlockStatement"][body.body.length=0]',
  'CallExpression[callee.property.name="catch"] > ArrowFunctionExpression > Identifier.body[name="undefined"]',
  'CallExpression[callee.property.name="catch"] > ArrowFunctionExpression > Literal.body',
].map((selector) => ({ selector, message: 'A fault is handled by name or passed on, never swallowed.' }));

const published = [
  {
    selector: 'CallExpression[callee.property.name="publish"]',
    message: 'Only the log and the messaging publish (L4).',
  },
];

const impure = ['AwaitExpression', 'ThrowStatement', 'ClassDeclaration', 'ClassExpression', 'ImportExpression'].map(
  (selector) => ({ selector, message: 'A domain decides with values alone (L2).' }),
);

const plainRules = {
  eqeqeq: 'error',
  'no-cond-assign': 'error',
  'no-constant-condition': ['error', { checkLoops: false }],
  'no-debugger': 'error',
  'no-empty': 'error',
  'no-fallthrough': 'error',
  'no-self-compare': 'error',
  'no-unreachable': 'error',
  'no-unsafe-finally': 'error',
  'no-var': 'error',
  'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'start' }],
  'object-shorthand': 'error',
  'prefer-const': ['error', { destructuring: 'all' }],
  'preserve-caught-error': 'error',
  'max-len': [
    'error',
    { code: 120, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true },
  ],
  'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
  'no-restricted-syntax': ['error', ...swallowed],
};

const typedRules = {
  '@typescript-eslint/ban-ts-comment': [
    'error',
    { 'ts-ignore': true, 'ts-nocheck': true, 'ts-expect-error': true, 'ts-check': true },
  ],
  // Silent in a file with decorators while emitDecoratorMetadata is on, which is right: there an injected class must
  // stay a value import, or Nest finds no type to inject.
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
  '@typescript-eslint/no-deprecated': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
  // An implementation of an asynchronous port may have nothing to wait for.
  '@typescript-eslint/require-await': 'off',
  '@typescript-eslint/switch-exhaustiveness-check': 'error',
  'no-console': 'error',
  'no-restricted-imports': ['error', { paths: [processModule] }],
  'no-restricted-properties': ['error', environment],
  'no-restricted-syntax': ['error', ...swallowed, ...published],
};

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.nexusmon/**', '.nx/**', 'coverage/**', '**/generated/**'] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{js,mjs,cjs}'],
    extends: [tseslint.configs.base],
    languageOptions: { globals: Object.fromEntries(NODE_GLOBALS.map((name) => [name, 'readonly'])) },
    rules: { ...plainRules, 'no-undef': 'error', 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
  },
  { files: ['**/*.cjs'], languageOptions: { globals: { module: 'writable' } } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: { ...plainRules, ...typedRules },
  },
  {
    files: ['libs/platform/{event-log,messaging}/src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...swallowed] },
  },
  {
    files: ['libs/platform/config/src/**/*.ts'],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-imports': 'off' },
  },
  {
    files: ['libs/*/domain/src/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...IMPURE_GLOBALS.map((name) => ({ name, message: 'A domain is pure (L2).' })),
      ],
      'no-restricted-properties': ['error', environment, randomness],
      'no-restricted-syntax': ['error', ...swallowed, ...published, ...impure],
    },
  },
  {
    files: SPECS,
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines-per-function': 'off',
      'no-restricted-globals': 'off',
      'no-restricted-properties': ['error', environment],
      'no-restricted-syntax': ['error', ...swallowed],
    },
  },
  // A test that starts the product as an operator does passes on the environment it was given.
  { files: ['tests/**/*.ts'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['tools/**/*.ts'], rules: { 'no-console': 'off' } },
);
