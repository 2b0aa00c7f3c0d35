import { describe, expect, it } from '@jest/globals';
import { POLICIES } from '../../../../../tests/support/policies.js';
import { surfaceRoutes, type SurfaceParts } from './surface.routes.js';

describe('the policies of the routes', () => {
  it('are those that they are meant to have, for every route (tests/support/policies.ts)', () => {
    const declared = surfaceRoutes({ lists: {} } as SurfaceParts, '0.0.0').map(
      ({ method, path, policy }) =>
        [`${method} ${path}`, policy.access === 'scope' ? [policy.scope].flat() : policy.access] as const,
    );
    expect(Object.fromEntries(declared)).toEqual(POLICIES);
    expect(declared).toHaveLength(Object.keys(POLICIES).length);
  });
});
