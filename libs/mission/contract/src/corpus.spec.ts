import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import { missionEvents, type MissionEvent } from './index.js';

type DataOf<Name extends MissionEvent['type']> = Extract<MissionEvent, { type: Name }>['data'];
type Examples = { [Name in MissionEvent['type']]: readonly DataOf<Name>[] };

const mission_id = 'msn_01a1f930-8d95-7333-899f-86bbb72360f2';
const approval_id = 'apr_e0b5489e-f27d-8759-abc7-1f4629ca1a7f';
const plan_digest = 'eaa1d0da1754c7a70d463e468bed34188174e06ef47a976fe69238ba8f088e44';
const effect_digest = 'e73205d8eeacbf81737c6668e6d677267d3e954983b22e4e477b986bd0600c9b';
const fingerprint = '45b7e7932de1775f8d44c08c27e075123a4a1921946bce381afb6e636fd658ad';
const worker_digest = '082acb69925ef9cead321b7f5bb2513efa02f9f7bc1dcd20adb31be598e44b51';
const input_digest = '48208f9428d64634bd8e28ff345bf0eab60d53c18fa2fbdb0b9bc1e84df2b5f6';
/** Of a batch of three. */
const signature = [
  'U6ZRat38DD9XLOv5JNE_iZMUDFoiSZjVCyJK2p23jcO16jeoO2X03M0MXLRP9_23cTpsAgadhaGrlRmN1o9wDw',
  'rC-yZeyQF9j_j9ztFdtcKmipQPfGPqt13z0CObT3E4s0',
  'rT5biU24-mQ2J2uOKHLBixC7l4CmA8PD8oGa0WegpGUw',
].join('.');
const operator = 'operator:owner';
const task_id = 'compose';

const artifact = {
  artifact_id: 'art_015ace68-6b6e-88a6-966d-1bd7697c8766',
  name: `${mission_id}/compose/report.md`,
  sha256: 'f4f2734f44dd8607ac9136964e629085295a2d2d1fe21c56359cd4696ca194d3',
  size: 18_142,
  media_type: 'text/markdown; charset=utf-8',
};

const created: Examples['MissionCreated'] = [
  {
    mission_id,
    goal: 'Report on this folder',
    category: 'forge',
    constraints: {},
    params: { path: '/srv/project' },
    template: 'repository-report',
    hold: false,
    priority: 0,
    tags: [],
    requested_by: operator,
  },
  {
    mission_id,
    goal: 'Say “Grüße” 👋',
    category: 'coin',
    rank_asked: 'A',
    constraints: { max_time_seconds: 60, max_steps: 3, max_cost_usd: 0.5 },
    params: {},
    hold: true,
    priority: -1,
    tags: ['weekly', 'draft'],
    parent_mission_id: 'msn_01a1f930-9303-7216-bbe4-f2d135a5cba8',
    requested_by: operator,
  },
  {
    mission_id,
    goal: 'Say a long thing',
    category: 'forge',
    constraints: {},
    enclosure: { sha256: effect_digest, size: 819_355 },
    hold: false,
    priority: 0,
    tags: [],
    requested_by: operator,
  },
];

const planned: Examples['MissionPlanned'] = [
  {
    plan_source: 'template',
    tasks: [
      {
        task_id: 'survey',
        worker: 'repository.survey',
        worker_version: '1.0.0',
        worker_digest,
        input: { path: '/srv/project' },
        depends_on: [],
        retry: { max_attempts: 3, backoff_seconds: 1 },
        timeout_seconds: 900,
        risk_level: 'D',
        requires_approval: false,
        verifies: false,
      },
      {
        task_id: 'verify',
        worker: 'report.verify',
        worker_version: '1.0.0',
        worker_digest,
        input: { survey: { $output: 'survey', pointer: '/file_count' } },
        depends_on: ['survey'],
        retry: { max_attempts: 1, backoff_seconds: 0.5 },
        timeout_seconds: 0.5,
        risk_level: 'A',
        requires_approval: true,
        verifies: true,
      },
    ],
    plan_digest,
    fingerprint,
    rank: 'E',
    effective_rank: 'A',
  },
  {
    plan_source: 'request',
    tasks: [
      {
        task_id: 'say',
        worker: 'system.echo',
        worker_version: '1.0.0',
        worker_digest,
        enclosed: { derived: true },
        depends_on: [],
        retry: { max_attempts: 3, backoff_seconds: 1 },
        timeout_seconds: 300,
        risk_level: 'E',
        requires_approval: false,
        verifies: false,
      },
    ],
    plan_digest,
    fingerprint,
    rank: 'E',
    effective_rank: 'E',
  },
];

const gated: Examples['MissionGated'] = [
  {
    verdict: {
      claims: {
        mission_id,
        plan_digest,
        rank: 'E',
        effective_rank: 'A',
        outcome: 'needs_approval',
        decisive_rule: 'rank',
        rulings: [
          { rule: 'rank', outcome: 'needs_approval', explanation: 'policy-1: effective rank A' },
          { rule: 'honest_rank', outcome: 'execute', explanation: 'no worker is riskier than the effective rank' },
        ],
        policy_version: 1,
        halt_epoch: 0,
        decided_at: '2026-11-20T13:41:12.584Z',
      },
      signature,
    },
    approval_id,
  },
];

const claimed: Examples['TaskClaimed'] = [
  {
    task_id,
    attempt: 1,
    runner_id: 'runner-0e027cc755a8',
    input_digest,
    permit: {
      claims: {
        effect_digest,
        mission_id,
        task_id,
        attempt: 1,
        plan_digest,
        rank: 'A',
        policy_version: 1,
        halt_epoch: 0,
        approval_id,
        authority: 'service:governance',
        issued_at: '2026-11-20T13:41:12.680Z',
        expires_at: '2026-11-20T13:42:12.680Z',
      },
      signature,
    },
    deadline: '2026-11-20T13:41:42.682Z',
  },
];

const missions = {
  MissionCreated: created,
  MissionPlanned: planned,
  MissionGated: gated,
  MissionHeld: [{}],
  MissionHoldLifted: [{}],
  MissionApproved: [{ approval_id, granted_by: operator, shape: true, plan_digest }],
  MissionQueued: [{}],
  MissionStarted: [{}],
  MissionVerifying: [{}],
  MissionCompleted: [
    {
      result: { kind: 'outputs', fulfilled: true, artifacts: [artifact] },
      verified: true,
      fingerprint,
      category: 'forge',
      effective_rank: 'D',
    },
    {
      result: { kind: 'brief', fulfilled: false, artifacts: [] },
      verified: false,
      fingerprint,
      category: 'library',
      effective_rank: 'E',
    },
  ],
  MissionFailed: [
    { failure: { code: 'task_failed', message: 'compose: the survey is not one', task_id } },
    { failure: { code: 'constraint_exceeded', message: 'max_time_seconds is 60' } },
  ],
  MissionCancelled: [
    { outcome: 'denied', approval_id, reason: 'Not this week' },
    { outcome: 'cancelled' },
    { outcome: 'expired', approval_id },
    { outcome: 'withdrawn', approval_id },
  ],
} satisfies Partial<Examples>;

const tasks = {
  TaskClaimed: claimed,
  TaskGated: [{ task_id, attempt: 1, approval_id, effect_digest, why: 'derived_input' }],
  TaskApproved: [{ task_id, approval_id, granted_by: operator, effect_digest }],
  TaskCompleted: [
    { task_id, attempt: 1, output: { value: 1 }, artifacts: [], duration_ms: 7.8 },
    { task_id, attempt: 2, output: null, output_ref: artifact, artifacts: [artifact], duration_ms: 346 },
  ],
  TaskFailed: [
    {
      task_id,
      attempt: 1,
      code: 'worker_failed',
      message: 'ENOENT: no such file',
      retry_at: '2026-11-20T13:41:13.695Z',
      duration_ms: 12,
    },
    { task_id, attempt: 3, code: 'worker_timed_out', message: 'still running after 30 s' },
  ],
  TaskReady: [{ task_id }],
  TaskReleased: [
    { task_id, attempt: 1, why: 'runner_lost' },
    { task_id, attempt: 2, why: 'permit_invalid', retry_at: '2026-11-20T13:41:13.695Z' },
  ],
  TaskDeadLettered: [{ task_id, attempt: 4, tries: 3, code: 'worker_failed' }],
} satisfies Partial<Examples>;

const examples: Examples = { ...missions, ...tasks };

describe('the recorded mission events', () => {
  it('are read for ever, and change only by a new version', () => {
    expect(checkCorpus(missionEvents, join(import.meta.dirname, '../corpus'), examples)).toEqual([]);
  });
});
