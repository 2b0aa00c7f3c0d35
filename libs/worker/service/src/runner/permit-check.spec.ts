// `P1`–`P3` are the numbers in permit-check.ts.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { Signatures, signTexts } from '@nexusmon/keys';
import type { Assignment, PermitClaims, WorkerManifest } from '@nexusmon/worker-contract';
import { assignmentOf, governance, signed } from './assignment.fixture.js';
import { permitFault } from './permit-check.js';

const NOW = Date.parse('2026-01-01T12:00:00.000Z');
const manifest: WorkerManifest = {
  name: 'system.echo',
  version: '1.0.0',
  digest: sha256Hex('this build of system.echo'),
  description: 'Gives back what it is given.',
  capabilities: [],
  risk_level: 'E',
  requires_approval: false,
  timeout_seconds: 5,
  input_schema: {},
  output_schema: {},
};
const asked = assignmentOf({ manifest, input: { value: 1 }, now_ms: NOW });
const check = (assignment: Assignment, now_ms = NOW + 1_000, installed = manifest) =>
  permitFault(assignment, installed, new Signatures(governance.publicKey), now_ms);

const withClaims = (change: Partial<PermitClaims>): Assignment => ({
  ...asked,
  permit: signed({ ...asked.permit.claims, ...change }),
});
const withEffect = (change: Partial<Assignment['effect']>): Assignment => ({
  ...asked,
  effect: { ...asked.effect, ...change },
});

describe('a permit', () => {
  it('lets exactly what it was given for run', () => expect(check(asked)).toBeUndefined());

  it.each<[string, Assignment]>([
    ['another input', { ...asked, input: { value: 2 } }],
    ['another task', { ...asked, task_id: 'other' }],
    ['another attempt', { ...asked, attempt: 2 }],
    ['another mission', { ...asked, mission_id: assignmentOf({ manifest }).mission_id }],
    ['more time', withEffect({ limits: { ...asked.effect.limits, timeout_seconds: 86_400 } })],
    ['more output', withEffect({ limits: { ...asked.effect.limits, output_bytes_max: 2 ** 30 } })],
    ['a lower rank', withEffect({ rank: 'S' })],
  ])('does not let %s run (P1)', (_what, assignment) =>
    expect(check(assignment)).toEqual({
      why: expect.stringContaining('not for what would run here'),
      retryable: false,
    }),
  );

  it('does not let another build of the worker run, and says what differs (P1)', () => {
    const rebuilt = { ...manifest, digest: sha256Hex('another build') };
    expect(check(asked, NOW, rebuilt)?.why).toContain('worker_digest differs');
    expect(check(asked, NOW, { ...manifest, version: '1.0.1' })?.why).toContain('worker_version differs');
    expect(check(asked, NOW, { ...manifest, name: 'system.other' })?.why).toContain('worker differs');
  });

  it('that asks for a way out is not for a worker of this runner (P1)', () => {
    const effect = { ...asked.effect, egress: ['example.org:443'] };
    const permitted = withClaims({ effect_digest: sha256Hex(JSON.stringify(effect)) });
    expect(check({ ...permitted, effect })?.why).toContain('egress differs');
  });

  it('for a worker with a way out is kept to as it was given (P1)', () => {
    const reaching = { ...manifest, name: 'http.fetch' };
    const given = assignmentOf({ manifest: reaching, input: { url: 'https://example.org' }, now_ms: NOW });
    const effect = { ...given.effect, egress: ['https://example.org:443'] };
    const claims = { ...given.permit.claims, effect_digest: sha256Hex(canonical(effect)) };
    const permitted = { ...given, effect, permit: signed(claims) };
    expect(check(permitted, NOW, reaching)).toBeUndefined();
    const widened = { ...effect, egress: ['https://example.org:443', 'https://evil.example:443'] };
    expect(check({ ...permitted, effect: widened }, NOW, reaching)?.why).toContain('not for what would run here');
  });

  it('counts only when governance has signed it (P2)', () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const forged = { ...asked, permit: signed(asked.permit.claims, stranger) };
    expect(check(forged)).toEqual({ why: 'the permit is not signed by governance', retryable: false });
    const stretched = { ...asked.permit, claims: { ...asked.permit.claims, expires_at: '2026-01-01T12:00:59.999Z' } };
    expect(check({ ...asked, permit: stretched })?.why).toContain('not signed');
    expect(check({ ...asked, permit: { ...asked.permit, signature: '' } })?.why).toContain('not signed');
  });

  it('may share its signature with others, and is none of theirs (P2)', () => {
    const claims = [asked.permit.claims, { ...asked.permit.claims, policy_version: 2 }];
    const signatures = signTexts(claims.map(canonical), governance.privateKey);
    const faults = signatures.map((signature) => check({ ...asked, permit: { ...asked.permit, signature } }));
    expect(faults).toEqual([undefined, { why: 'the permit is not signed by governance', retryable: false }]);
  });

  it.each<[string, Partial<PermitClaims>]>([
    ['mission', { mission_id: assignmentOf({ manifest }).mission_id }],
    ['task', { task_id: 'other' }],
    ['attempt', { attempt: 2 }],
    ['rank', { rank: 'S' }],
  ])('for another %s is not for this one, even signed (P3)', (_what, change) =>
    expect(check(withClaims(change))).toEqual({ why: 'the permit names another attempt', retryable: false }),
  );

  it('has run out after its minute, which a fresh one mends (P3)', () => {
    expect(check(asked, NOW + 59_999)).toBeUndefined();
    expect(check(asked, NOW + 60_000)).toEqual({ why: 'the permit has expired', retryable: true });
  });

  it('is not given for longer than a minute, nor for later (P3)', () => {
    expect(check(withClaims({ expires_at: '2026-01-01T12:01:00.001Z' }))?.why).toContain('too long');
    const later = { issued_at: '2026-01-01T12:01:00.000Z', expires_at: '2026-01-01T12:02:00.000Z' };
    expect(check(withClaims(later))?.why).toContain('from the future');
  });
});
