// Scenes that the specs of the mission share: one small mission, the commands it gets, and what they leave in the log.

import { secondsAfter } from '@nexusmon/kernel';
import type { MissionEvent, PlannedTask } from '@nexusmon/mission-contract';
import type { Rank } from '@nexusmon/shared-contract';
import type { CommandOf, MissionCommand } from './mission.commands.js';
import type { VerdictClaims } from './mission.state.js';
import { mission } from './mission.js';

export const [actor, worker_actor, clock] = ['operator:ada', 'service:mission', 'service:clock'];
/** So many seconds after the mission was created. */
export const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
export const [mission_id, approval_id, task_approval_id, other_approval_id] = [
  'msn_0190b6c1-0000-7000-8000-000000000001',
  'apr_0190b6c1-0000-7000-8000-000000000002',
  'apr_0190b6c1-0000-7000-8000-000000000003',
  'apr_0190b6c1-0000-7000-8000-000000000004',
];
export const [plan_digest, fingerprint, effect_digest, input_digest] = [
  'a'.repeat(64),
  'b'.repeat(64),
  'c'.repeat(64),
  'd'.repeat(64),
];

export const task = (task_id: string, over: Partial<PlannedTask> = {}): PlannedTask => ({
  task_id,
  worker: 'system.echo',
  worker_version: '1.0.0',
  worker_digest: 'e'.repeat(64),
  input: {},
  depends_on: [],
  retry: { max_attempts: 2, backoff_seconds: 1 },
  timeout_seconds: 10,
  risk_level: 'E',
  requires_approval: false,
  verifies: false,
  ...over,
});

export const derived = { $output: 'one' };
export const chain = [
  task('one'),
  task('two', { depends_on: ['one'], input: derived }),
  task('check', { depends_on: ['two'], verifies: true }),
];

export type Setting = Readonly<{
  tasks?: PlannedTask[];
  rank?: Rank;
  outcome?: VerdictClaims['outcome'];
  hold?: boolean;
  plan_source?: 'request' | 'planner';
  max_time_seconds?: number;
  claims?: Partial<VerdictClaims>;
}>;

export const verdict = ({ rank = 'E', outcome = 'execute', claims = {} }: Setting) => ({
  claims: {
    mission_id,
    plan_digest,
    rank,
    effective_rank: rank,
    outcome,
    decisive_rule: 'rank',
    rulings: [],
    policy_version: 1,
    halt_epoch: 0,
    decided_at: at(0),
    ...claims,
  },
  signature: 'signed',
});

export const create = (setting: Setting = {}): CommandOf<'CreateMission'> => {
  const { tasks = chain, rank = 'E', hold = false, plan_source = 'request', max_time_seconds } = setting;
  const constraints = max_time_seconds === undefined ? {} : { max_time_seconds };
  const request = {
    mission_id,
    goal: 'try',
    category: 'forge' as const,
    constraints,
    params: {},
    hold,
    priority: 0,
    tags: [],
    requested_by: actor,
  };
  const plan = { plan_source, tasks, plan_digest, fingerprint, rank, effective_rank: rank };
  const asks = setting.outcome === 'needs_approval' ? { approval_id } : {};
  return { type: 'CreateMission', actor, time: at(0), data: { request, plan, verdict: verdict(setting), ...asks } };
};

/** The events that creating such a mission leaves behind. */
export const created = (setting: Setting = {}): readonly MissionEvent[] => {
  const decision = mission.decide(create(setting), mission.initial);
  return decision.kind === 'accepted' ? decision.events : [];
};
/** What is in the log when such a mission was created and these commands came in turn; refused ones leave nothing. */
export const settled = (setting: Setting, ...commands: readonly MissionCommand[]): readonly MissionEvent[] =>
  commands.reduce<readonly MissionEvent[]>((events, command) => {
    const decision = mission.decide(command, events.reduce(mission.evolve, mission.initial));
    return decision.kind === 'accepted' ? [...events, ...decision.events] : events;
  }, created(setting));

export const high: Setting = { rank: 'A', outcome: 'needs_approval' };

export const permitOf = (task_id: string, attempt: number, over: object = {}) => ({
  claims: {
    effect_digest,
    mission_id,
    task_id,
    attempt,
    plan_digest,
    rank: 'S' as const,
    policy_version: 1,
    halt_epoch: 0,
    authority: actor,
    issued_at: at(0),
    expires_at: at(3_600),
    ...over,
  },
  signature: 'signed',
});
export const claim = (task_id: string, attempt = 1, over: object = {}, seconds = 1): CommandOf<'ClaimTask'> => ({
  type: 'ClaimTask',
  actor: worker_actor,
  time: at(seconds),
  data: {
    task_id,
    runner_id: 'runner-1',
    input_digest,
    permit: permitOf(task_id, attempt, over),
    deadline: at(seconds + 10),
  },
});
export const report = (task_id: string, attempt = 1, seconds = 2): CommandOf<'ReportTask'> => ({
  type: 'ReportTask',
  actor: worker_actor,
  time: at(seconds),
  data: { task_id, attempt, result: { outcome: 'completed', output: task_id, artifacts: [], duration_ms: 5 } },
});
type FaultCode = Extract<CommandOf<'ReportTask'>['data']['result'], { outcome: 'failed' }>['error']['code'];
export const fail = (
  task_id: string,
  attempt = 1,
  retryable = true,
  code: FaultCode = 'worker_failed',
  seconds = 2,
): CommandOf<'ReportTask'> => ({
  type: 'ReportTask',
  actor: worker_actor,
  time: at(seconds),
  data: {
    task_id,
    attempt,
    result: { outcome: 'failed', error: { code, message: 'broken', retryable }, duration_ms: 5 },
  },
});
export const release = (task_id: string, attempt = 1, seconds = 2): CommandOf<'ReleaseTask'> => ({
  type: 'ReleaseTask',
  actor: worker_actor,
  time: at(seconds),
  data: { task_id, attempt, why: 'lease_expired' },
});
export const tick = (seconds: number): CommandOf<'Tick'> => ({
  type: 'Tick',
  actor: clock,
  time: at(seconds),
  data: {},
});
export const grant = (over: Partial<CommandOf<'RecordGrant'>['data']> = {}): CommandOf<'RecordGrant'> => ({
  type: 'RecordGrant',
  actor,
  time: at(1),
  data: { approval_id, granted_by: actor, shape: false, plan_digest, ...over },
});
export const refuse = (outcome: 'denied' | 'expired' | 'withdrawn', id = approval_id): CommandOf<'RecordRefusal'> => ({
  type: 'RecordRefusal',
  actor,
  time: at(1),
  data: { approval_id: id, outcome, reason: 'no' },
});
export const gate = (task_id: string, id = task_approval_id): CommandOf<'GateTask'> => ({
  type: 'GateTask',
  actor: worker_actor,
  time: at(1),
  data: { task_id, approval_id: id, effect_digest, why: 'task_gate' },
});
export const cancel: CommandOf<'CancelMission'> = {
  type: 'CancelMission',
  actor,
  time: at(2),
  data: { reason: 'changed my mind' },
};
export const run = (data: Partial<CommandOf<'RunMission'>['data']> = {}): CommandOf<'RunMission'> => ({
  type: 'RunMission',
  actor,
  time: at(1),
  data: { sovereign: false, ...data },
});
/** An event as its command's actor and time make it. */
export const said =
  (command: Pick<MissionCommand, 'actor' | 'time'>) =>
  <Type extends MissionEvent['type']>(type: Type, data: Extract<MissionEvent, { type: Type }>['data']) =>
    ({ type, actor: command.actor, time: command.time, data }) as MissionEvent;

export const everyTaskDone = [
  claim('one'),
  report('one'),
  claim('two'),
  report('two'),
  claim('check'),
  report('check'),
];
export const past = {
  queued: () => settled({}),
  running: () => settled({}, claim('one')),
  completed: () => settled({}, ...everyTaskDone),
  failed: () => settled({}, claim('one'), fail('one', 1, false)),
  cancelled: () => settled({}, cancel),
};
