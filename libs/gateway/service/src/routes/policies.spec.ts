import { describe, expect, it } from '@jest/globals';
import type { Scope } from '@nexusmon/access-contract';
import { readFileSync } from 'node:fs';
import { POLICIES } from '../../../../../tests/support/policies.js';
import type { Policy } from '../http/route.js';
import { scopesOf, surfaceRoutes, type SurfaceParts } from './surface.routes.js';

const declaredOf = (policy: Policy): string | readonly Scope[] => {
  if (policy.access === 'scope') return [policy.scope].flat();
  // The key in the body is enough; without it a credential with this scope is.
  return policy.access === 'operator_key' && policy.or_scope ? [policy.or_scope] : policy.access;
};

const routes = surfaceRoutes({ lists: {} } as SurfaceParts, '0.0.0');

describe('the policies of the routes', () => {
  it('are those that they are meant to have, for every route (tests/support/policies.ts)', () => {
    const declared = routes.map(({ method, path, policy }) => [`${method} ${path}`, declaredOf(policy)] as const);
    expect(Object.fromEntries(declared)).toEqual(POLICIES);
    expect(declared).toHaveLength(Object.keys(POLICIES).length);
  });

  it('ask for the scopes that docs/operations.md explains, and for no other', () => {
    const page = readFileSync(new URL('../../../../../docs/operations.md', import.meta.url), 'utf8');
    const [, table = ''] = page.split(/^\| scope +\| what +\|$/m);
    const [rows = ''] = table.trimStart().split('\n\n');
    const explained = [...rows.matchAll(/^\| `([a-z:]+)` +\| \S/gm)].map(([, scope]) => scope);
    expect(explained.toSorted()).toEqual([...scopesOf(routes)].toSorted());
  });
});
