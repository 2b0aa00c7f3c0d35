import { describe, expect, it } from '@jest/globals';
import { rulingDocument, type GrantEvent } from '@nexusmon/evolution-contract';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { grant, rulingOf, type GrantCommand } from './grant.js';

const { given, history, fold } = specify(grant);

const ada = 'operator:ada';
const time = '2026-01-01T12:00:00.000Z';
const ruling = (type: GrantCommand['type'], over: Partial<GrantCommand['data']> = {}, actor = ada): GrantCommand => ({
  ...{ type, actor, time },
  data: { capability: 'RECALL', reason: 'because', sovereign: true, ...over },
});
const granted: GrantEvent = {
  ...{ type: 'CapabilityGranted', actor: ada, time },
  data: { capability: 'RECALL', granted_by: ada, reason: 'because' },
};
const revoked: GrantEvent = {
  ...{ type: 'CapabilityRevoked', actor: ada, time },
  data: { capability: 'RECALL', revoked_by: ada, reason: 'because' },
};
const TYPES = ['GrantCapability', 'RevokeCapability'] as const;

describe('a capability', () => {
  it('has no ruling at first', () => expect(rulingOf(given().state())).toBeUndefined());
  it('is granted', () => given().when(ruling('GrantCapability')).then(granted));
  it('is revoked', () => given().when(ruling('RevokeCapability')).then(revoked));
  it('is revoked after it was granted (G2)', () => given(granted).when(ruling('RevokeCapability')).then(revoked));
  it('is granted again (G2)', () => given(granted, revoked).when(ruling('GrantCapability')).then(granted));
  it.each([
    [granted, 'GrantCapability'],
    [revoked, 'RevokeCapability'],
  ] as const)('takes no notice of a repeat of %j (G2)', (event, type) =>
    given(event)
      .when(ruling(type, { reason: 'again' }))
      .thenNothing(),
  );
  it.each(TYPES)('refuses %s without the operator key (G1)', (type) =>
    given()
      .when(ruling(type, { sovereign: false }))
      .thenRejected({ code: 'operator-key-required' }),
  );
  it.each(['service:evolution', 'token:tok_1', 'plugin:loud'])('is not ruled on by %s (G1)', (actor) => {
    for (const type of TYPES)
      given()
        .when(ruling(type, {}, actor))
        .thenRejected({ code: 'operator-required' });
  });
  it('shows its ruling', () =>
    expect(rulingDocument.parse(rulingOf(fold([granted, revoked])))).toEqual({
      ...{ ruling: 'revoked', by: ada, at: time, reason: 'because' },
    }));
  it('alternates whatever is asked (G2)', () =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...TYPES)), (types) => {
        const events = history(types.map((type) => ruling(type))).map(({ type }) => type);
        expect(events.some((type, index) => type === events[index - 1])).toBe(false);
      }),
    ));
});
