import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import {
  approvalEvents,
  restorationEvents,
  reviewEvents,
  type ApprovalEvent,
  type RestorationEvent,
  type ReviewEvent,
} from './index.js';

type Recorded = ApprovalEvent | RestorationEvent | ReviewEvent;
type Examples = { [Name in Recorded['type']]: readonly Extract<Recorded, { type: Name }>['data'][] };

const operator = 'operator:owner';
const requested = {
  approval_id: 'apr_e0b5489e-f27d-8759-abc7-1f4629ca1a7f',
  mission_id: 'msn_01a1f930-9303-7216-bbe4-f2d135a5cba8',
  plan_digest: 'b8b4e5cd52f6c9c50ac3c3ff7626c2323a056972aea287e66fb75f3483fb7b2c',
  requested_by: operator,
  reasons: ['policy-1: effective rank A', 'no worker is riskier than the effective rank'],
  expires_at: '2026-11-21T13:41:12.600Z',
};

const reviewed = {
  review_id: 'rev_01a1f930-9303-7216-bbe4-f2d135a5cba8',
  mission_id: requested.mission_id,
  rank: 'C',
  decisive_rule: 'rank',
  flagged_at: requested.expires_at,
  reviewed_by: operator,
} as const;

const restored = {
  restoration_id: 'rst_01a1f930-9303-7216-bbe4-f2d135a5cba8',
  backup_id: 'bak_01a1f930-9303-7216-bbe4-f2d135a5cba9',
  taken_at: requested.expires_at,
  manifest: requested.plan_digest,
  decided_at: requested.expires_at,
  restored_by: operator,
  reason: 'The disk was lost',
  public_key: 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE',
  signature: 'pkKbOqXn1uXyGhaGTnhUEWVzo4vb7kzU5vbYhXwXKoVUrXuVTDPkLg0ZsNfUqF4WwJ7P0C2cqE7c1h6vS0dIBw',
};
const put_back = { stream: 0, formerly: '0123456789ab', incarnation: 'ba9876543210', sequence: 40 };

const examples: Examples = {
  ApprovalRequested: [
    {
      ...requested,
      rank: 'A',
      summary: 'Say it\none: system.echo {"value":1}',
      derived_inputs: [],
      cooling_off_seconds: 0,
    },
    {
      ...requested,
      task_id: 'two',
      effect_digest: 'e73205d8eeacbf81737c6668e6d677267d3e954983b22e4e477b986bd0600c9b',
      rank: 'S',
      summary: 'two: system.echo {"value":{"$output":"one"}}',
      derived_inputs: ['two'],
      cooling_off_seconds: 10,
    },
  ],
  ApprovalCoolingOff: [
    {
      granted_by: operator,
      reason: 'The plan is the one we agreed on',
      shape: true,
      effective_at: requested.expires_at,
    },
    { granted_by: operator, shape: false, effective_at: requested.expires_at },
  ],
  ApprovalGranted: [
    { granted_by: operator, reason: 'The plan is the one we agreed on', shape: true },
    { granted_by: operator, shape: false },
  ],
  ApprovalDenied: [{ denied_by: operator, reason: 'Not this week' }],
  ApprovalExpired: [{}],
  ApprovalWithdrawn: [{ withdrawn_by: operator, reason: 'Wrong folder' }, { withdrawn_by: 'service:governance' }],
  ReviewGiven: [
    { ...reviewed, verdict: 'not_fine', reason: 'The figures are those of another folder' },
    { ...reviewed, verdict: 'fine' },
  ],
  LogRestored: [
    { ...restored, streams: [{ ...put_back, lost_to: 57 }] },
    { ...restored, streams: [put_back] },
  ],
};

describe('the recorded events of governance', () => {
  it('are read for ever, and change only by a new version', () => {
    expect(
      checkCorpus(
        { ...approvalEvents, ...restorationEvents, ...reviewEvents },
        join(import.meta.dirname, '../corpus'),
        examples,
      ),
    ).toEqual([]);
  });
});
