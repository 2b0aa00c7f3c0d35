// Missions that have had their day, for volume: decided by the mission's own decider and appended by the log's own
// library, commit by commit as dispatch would have it. Which kind of mission has which index is always the same.

import { hash } from 'node:crypto';
import { newId, type EventLog, type Identified } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import type { CommandOf, MissionCommand } from '@nexusmon/mission-domain';
import { missionAggregate } from './mission.aggregate.js';

const AHEAD_MS = 3_600_000;
const NEVER = '2099-01-01T00:00:00.000Z';
const [RUNNER, OPERATORS] = ['past-runner', ['operator:owner', 'operator:ada', 'operator:lin']] as const;
const CATEGORIES = ['forge', 'library', 'coin', 'sanctuary'] as const;
const RANKS = ['E', 'E', 'E', 'D', 'D', 'C', 'B'] as const;
const VERBS = ['Survey', 'Verify', 'Compose', 'Compare', 'Measure', 'Collect', 'Translate', 'Summarise'];
const THINGS = ['licences', 'dependencies', 'invoices', 'backups', 'certificates', 'releases', 'sensors', 'orders'];
const PLACES = ['Lisbon', 'Osaka', 'Nairobi', 'Quito', 'Tromsø', 'Perth', 'Halifax', 'Kraków', 'Busan', 'Tunis'];

const pick = <Item>(items: readonly Item[], index: number): Item => {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError('there is nothing to pick from');
  return item;
};

type End = 'completed' | 'failed' | 'cancelled' | 'held';
/** Of a hundred: four failed, two were cancelled, one is held. */
const endOf = (index: number): End => {
  const place = index % 100;
  if (place < 4) return 'failed';
  if (place < 6) return 'cancelled';
  return place === 6 ? 'held' : 'completed';
};

const goalOf = (index: number): string =>
  `${pick(VERBS, index)} the ${pick(THINGS, index >> 3)} of ${pick(PLACES, index >> 6)}, round ${index}`;

const TASKS = ['one', 'two', 'three'];
const tasks = (index: number) =>
  TASKS.map((task_id, place) => ({
    ...{ task_id, worker: 'system.echo', worker_version: '1.0.0', worker_digest: 'e'.repeat(64) },
    ...{ input: { value: `${goalOf(index)}: ${task_id}` }, depends_on: TASKS.slice(place - 1, place) },
    ...{ retry: { max_attempts: 1, backoff_seconds: 1 }, timeout_seconds: 60, risk_level: 'E' as const },
    ...{ requires_approval: false, verifies: false },
  }));

const planOf = (index: number) => {
  const fingerprint = hash('sha256', `past ${index % 5_000}`, 'hex');
  const rank = pick(RANKS, index);
  const plan_digest = hash('sha256', `past ${index}`, 'hex');
  return { ...{ plan_source: 'request' as const, tasks: tasks(index), plan_digest, fingerprint }, rank };
};

const create = (index: number, mission_id: string, actor: string): Omit<CommandOf<'CreateMission'>, 'time'> => {
  const { rank, plan_digest, ...plan } = planOf(index);
  const claims = {
    ...{ mission_id, plan_digest, rank, effective_rank: rank, decisive_rule: 'rank', rulings: [] },
    outcome: rank === 'C' || rank === 'B' ? ('execute_and_flag' as const) : ('execute' as const),
    ...{ policy_version: 1, halt_epoch: 0, decided_at: new Date().toISOString() },
  };
  const request = {
    ...{ mission_id, goal: goalOf(index), category: pick(CATEGORIES, index >> 1), constraints: {}, params: {} },
    ...{ hold: ['held', 'cancelled'].includes(endOf(index)), priority: 0, requested_by: actor },
    tags: [
      `batch-${index % 500}`,
      pick(PLACES, index)
        .toLowerCase()
        .replaceAll(/[^a-z]/g, '-'),
    ],
  };
  const data = { request, plan: { ...plan, plan_digest, rank, effective_rank: rank } };
  return { type: 'CreateMission', actor, data: { ...data, verdict: { claims, signature: 'x'.repeat(86) } } };
};

const claim = (index: number, mission_id: string, task_id: string): Omit<CommandOf<'ClaimTask'>, 'time'> => {
  const { rank, plan_digest } = planOf(index);
  const [issued_at, deadline] = [Date.now(), Date.now() + AHEAD_MS].map((ms) => new Date(ms).toISOString());
  const claims = {
    ...{ effect_digest: 'c'.repeat(64), mission_id, task_id, attempt: 1, plan_digest, rank, policy_version: 1 },
    ...{ halt_epoch: 0, authority: 'service:governance', issued_at: issued_at ?? NEVER, expires_at: deadline ?? NEVER },
  };
  const data = { task_id, runner_id: RUNNER, input_digest: 'd'.repeat(64), deadline: deadline ?? NEVER };
  return {
    type: 'ClaimTask',
    actor: 'service:mission',
    data: { ...data, permit: { claims, signature: 'x'.repeat(86) } },
  };
};

const report = (index: number, task_id: string, fails: boolean, said = ''): Omit<CommandOf<'ReportTask'>, 'time'> => {
  const done = { output: { value: `${goalOf(index)}: ${task_id}${said}` }, artifacts: [], duration_ms: 3 };
  const broken = { code: 'worker_failed' as const, message: 'It is a drill.', retryable: false };
  const result = fails
    ? { outcome: 'failed' as const, error: broken, duration_ms: 3 }
    : { outcome: 'completed' as const, ...done };
  return { type: 'ReportTask', actor: 'service:worker', data: { task_id, attempt: 1, result } };
};

type Untimed = Omit<MissionCommand, 'time'>;

/** What is decided together stands together: one commit each. */
const commitsOf = (index: number, mission_id: string, said?: string): readonly (readonly Untimed[])[] => {
  const actor = pick(OPERATORS, index >> 2);
  const first = create(index, mission_id, actor);
  const end = endOf(index);
  if (end === 'held') return [[first]];
  if (end === 'cancelled') return [[first], [{ type: 'CancelMission', actor, data: {} }]];
  const step = (task_id: string) => claim(index, mission_id, task_id);
  if (end === 'failed') return [[first, step('one')], [report(index, 'one', true)]];
  return [
    [first, step('one')],
    [report(index, 'one', false, said), step('two')],
    [report(index, 'two', false, said), step('three')],
    [report(index, 'three', false, said)],
  ];
};

type Options = Readonly<{
  /** As commands that came at once: one commit for all. @default false */
  together?: boolean;
  /** What each output ends with. */
  said?: string;
}>;

/** Returns the mission's id and the position after its last commit. */
export const appendPastMission = async (
  log: EventLog,
  keyring: Keyring,
  index: number,
  { together = false, said = '' }: Options = {},
) => {
  const mission_id = newId('msn');
  const key_id = await keyring.take();
  let position = '';
  const apart = commitsOf(index, mission_id, said);
  for (const [place, commands] of (together ? [apart.flat()] : apart).entries()) {
    const outcomes = await Promise.all(
      commands.map((command) => {
        const identified = { command_id: newId('cmd'), correlation_id: mission_id, command };
        return log.execute(missionAggregate, mission_id, identified as Identified<MissionCommand>, {
          ...{ key_id, is_new: place === 0 },
        });
      }),
    );
    for (const outcome of outcomes) {
      if (outcome.kind !== 'accepted') throw new Error(`${mission_id}: ${JSON.stringify(outcome)}`);
      ({ position } = outcome);
    }
  }
  return { mission_id, position, end: endOf(index) };
};
