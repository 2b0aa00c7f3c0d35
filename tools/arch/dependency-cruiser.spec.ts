import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** A workspace in which every dependency is allowed: package folder, and what its index says. */
const clean: Record<string, string> = {
  'libs/kernel': `export const accept = () => 1;`,
  'libs/shared/contract': `import { z } from 'zod';\nexport const words = z.string();`,
  'libs/worker/contract': `export type Permit = string;\nexport const permit = 1;`,
  'libs/mission/contract': `export * from '@nexusmon/shared-contract';\nexport * from '@nexusmon/worker-contract';`,
  'libs/mission/domain': `import type { Permit } from '@nexusmon/worker-contract';\nimport { words } from '@nexusmon/mission-contract';\nimport { accept } from '@nexusmon/kernel';\nexport const mission: Permit = String(accept() + Number(words));`,
  'libs/mission/service': `import { mission } from '@nexusmon/mission-domain';\nimport { approval } from '@nexusmon/governance-contract';\nimport { log } from '@nexusmon/event-log';\nimport 'node:fs';\nexport const service = [mission, approval, log];`,
  'libs/governance/contract': `export const approval = 1;`,
  'libs/governance/domain': `export const rule = 1;`,
  'libs/governance/service': `export const governance = 1;`,
  'libs/access/contract': `export const session = 1;`,
  'libs/access/domain': `export * from '@nexusmon/access-contract';`,
  'libs/gateway/service': `export * from '@nexusmon/access-domain';`,
  'libs/platform/event-log': `import '@nats-io/nats-core';\nexport const log = 1;`,
  'libs/platform/runtime': `export * from '@nexusmon/event-log';`,
  'libs/platform/config': `export const config = 1;`,
  'libs/client': `export const client = 1;`,
  'libs/testing': `import 'testcontainers';\nexport const given = 1;`,
  'apps/mission-service': `import '@nexusmon/mission-service';\nimport '@nexusmon/runtime';\nimport '@nexusmon/config';`,
  'apps/standalone': `import '@nexusmon/mission-service';`,
  'apps/cli': `import '@nexusmon/client';\nimport '@nexusmon/config';\nimport 'commander';\nimport 'node:fs';`,
};

/** Per rule, the files that break it and no other rule; the first is where it is reported. */
const planted: Record<string, Record<string, string>> = {
  'no-cycles': {
    'libs/mission/service/src/a.ts': `import { b } from './b.js';\nexport const a = b;`,
    'libs/mission/service/src/b.ts': `import type { a } from './a.js';\nexport const b = 1 as unknown as typeof a;`,
  },
  'everything-resolves': { 'libs/mission/service/src/lost.ts': `import '@nexusmon/nowhere';` },
  'kernel-stands-alone': { 'libs/kernel/src/disk.ts': `import 'node:fs';` },
  'contract-is-plain-data': { 'libs/mission/contract/src/nest.ts': `import '@nestjs/common';` },
  'domain-is-pure': { 'libs/mission/domain/src/clock.ts': `import 'node:timers';` },
  'domain-borrows-types-only': {
    'libs/mission/domain/src/gate.ts': `import { permit } from '@nexusmon/worker-contract';\nexport const gate = permit;`,
  },
  'platform-knows-no-context': { 'libs/platform/runtime/src/mission.ts': `import '@nexusmon/mission-contract';` },
  'contexts-meet-at-contracts': { 'libs/mission/service/src/rule.ts': `import '@nexusmon/governance-domain';` },
  'gateway-hosts-access': { 'libs/gateway/service/src/mission.ts': `import '@nexusmon/mission-domain';` },
  'nothing-imports-an-app': { 'tests/app.spec.ts': `import '../apps/standalone/src/index.js';` },
  'apps-only-compose': { 'apps/standalone/src/contract.ts': `import '@nexusmon/mission-contract';` },
  'outside-asks-the-gateway': { 'apps/cli/src/contract.ts': `import '@nexusmon/mission-contract';` },
  'client-stands-alone': { 'libs/client/src/words.ts': `import 'zod';` },
  'nats-stays-in-platform': { 'libs/mission/service/src/nats.ts': `import '@nats-io/nats-core';` },
  'testing-stays-in-specs': { 'libs/mission/service/src/given.ts': `import '@nexusmon/testing';` },
  'testing-knows-no-context': { 'libs/testing/src/mission.ts': `import '@nexusmon/mission-contract';` },
  'product-needs-no-development-package': { 'libs/mission/service/src/property.ts': `import 'fast-check';` },
  'packages-are-declared': { 'libs/mission/service/src/undeclared.ts': `import 'semver';` },
};

/** Allowed in a spec, whatever its layer. */
const specs: Record<string, string> = {
  'libs/mission/domain/src/mission.spec.ts': `import '@nexusmon/testing';\nimport 'fast-check';\nimport '@nexusmon/kernel';`,
  'libs/mission/service/src/nats.int.spec.ts': `import '@nats-io/nats-core';`,
};

const nameOf = (folder: string) => {
  const [, group = '', layer] = folder.split('/');
  if (folder.startsWith('apps/')) return `app-${group}`;
  if (!layer) return group;
  return group === 'platform' ? layer : `${group}-${layer}`;
};

const write = (path: string, text: string) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

const plant = (tree: string, files: Record<string, string>) => {
  for (const [folder, text] of Object.entries(clean)) {
    write(join(tree, folder, 'src', 'index.ts'), text);
    const exports = { '.': { types: './src/index.ts', default: './dist/index.js' } };
    write(
      join(tree, folder, 'package.json'),
      JSON.stringify({ name: `@nexusmon/${nameOf(folder)}`, type: 'module', exports }),
    );
    mkdirSync(join(tree, 'node_modules', '@nexusmon'), { recursive: true });
    symlinkSync(join(tree, folder), join(tree, 'node_modules', '@nexusmon', nameOf(folder)));
  }
  for (const name of ['zod', '@nats-io', '@nestjs', 'commander', 'testcontainers', 'fast-check', 'semver'])
    symlinkSync(join(ROOT, 'node_modules', name), join(tree, 'node_modules', name));
  for (const name of ['package.json', 'tsconfig.base.json']) cpSync(join(ROOT, name), join(tree, name));
  for (const [path, text] of Object.entries({ ...specs, ...files })) write(join(tree, path), text);
};

type Report = { summary: { violations: { rule: { name: string }; from: string }[] } };

/** Each violation as `rule: file`. */
const cruise = (files: Record<string, string>): string[] => {
  const tree = mkdtempSync(join(tmpdir(), 'nexusmon-arch-'));
  try {
    plant(tree, files);
    const config = join(ROOT, 'tools', 'arch', 'dependency-cruiser.cjs');
    const bin = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
    const folders = ['apps', 'libs', 'tests'].filter((folder) =>
      Object.keys({ ...clean, ...files }).some((path) => path.startsWith(folder)),
    );
    const output = execFileSync(process.execPath, [bin, '--config', config, '--output-type', 'json', ...folders], {
      cwd: tree,
      encoding: 'utf8',
    });
    const { summary } = JSON.parse(output) as Report;
    return [...new Set(summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`))].sort();
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
};

describe('the dependency rule', () => {
  it('allows what the architecture allows', () => expect(cruise({})).toEqual([]));

  it('has a planted violation for each rule', () => {
    const { forbidden } = createRequire(import.meta.url)('./dependency-cruiser.cjs') as {
      forbidden: { name: string }[];
    };
    expect(Object.keys(planted).sort()).toEqual(forbidden.map(({ name }) => name).sort());
  });

  const found = cruise(Object.assign({}, ...Object.values(planted)) as Record<string, string>);
  const expected = Object.entries(planted).map(([name, files]) => `${name}: ${Object.keys(files)[0]}`);

  it.each(expected)('bites: %s', (violation) => expect(found).toContain(violation));
  it('bites nowhere else', () => expect(found).toEqual(expected.sort()));
});
