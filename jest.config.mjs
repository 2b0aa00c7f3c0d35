// Workspace packages are read from their sources, so that a test never runs against a stale build.
import { globSync, readFileSync } from 'node:fs';

const packages = globSync(['libs/*/package.json', 'libs/*/*/package.json'], { cwd: import.meta.dirname });
const sources = Object.fromEntries(
  packages.map((file) => {
    const { name } = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
    return [`^${name}$`, `<rootDir>/${file.replace('package.json', 'src/index.ts')}`];
  }),
);

/** @type {import('jest').Config} */
export default {
  // Where the servers of this run are described; libs/testing starts its own where nobody did.
  globals: { nexusmon_test_servers: process.env.NEXUSMON_TEST_SERVERS ?? null },
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  setupFiles: ['<rootDir>/tools/jest-realm.mjs'],
  extensionsToTreatAsEsm: ['.ts'],
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/tests', '<rootDir>/tools'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '/.nexusmon/'],
  moduleNameMapper: { ...sources, '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, verbatimModuleSyntax: true },
          target: 'es2023',
        },
        module: { type: 'es6' },
      },
    ],
  },
};
