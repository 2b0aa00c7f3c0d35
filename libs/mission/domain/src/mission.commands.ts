// What can be asked of a mission, and why it can be refused.

import type { Decision } from '@nexusmon/kernel';
import type { MissionEvent, MissionStatus, MissionVerb, TaskStatus } from '@nexusmon/mission-contract';
import type { Rank } from '@nexusmon/shared-contract';
import type { AttemptResult } from '@nexusmon/worker-contract';
import type { EventData, RefusalOutcome } from './mission.state.js';

type Order<Type extends string, Data extends object> = Readonly<{
  type: Type;
  actor: string;
  time: string;
  data: Readonly<Data>;
}>;
type Verdict = EventData<'MissionGated'>['verdict'];

export type MissionCommand =
  | Order<
      'CreateMission',
      {
        request: EventData<'MissionCreated'>;
        plan: EventData<'MissionPlanned'>;
        verdict: Verdict;
        /** Names the approval that a verdict of `needs_approval` asks for. */
        approval_id?: string;
      }
    >
  /** `verdict` is fresh; only a mission that is held needs one. `sovereign`: the operator key was right. */
  | Order<'RunMission', { verdict?: Verdict; approval_id?: string; sovereign: boolean }>
  | Order<
      'RecordGrant',
      {
        approval_id: string;
        task_id?: string;
        granted_by: string;
        shape: boolean;
        plan_digest: string;
        effect_digest?: string;
      }
    >
  | Order<'RecordRefusal', { approval_id: string; outcome: RefusalOutcome; reason?: string }>
  | Order<'CancelMission', { reason?: string }>
  | Order<'ClaimTask', Omit<EventData<'TaskClaimed'>, 'attempt'>>
  | Order<'GateTask', Omit<EventData<'TaskGated'>, 'attempt'>>
  /** The task cannot be started, and waiting will not change that. */
  | Order<'RefuseTask', { task_id: string; code: 'input_unresolvable' | 'not_permitted'; message: string }>
  | Order<'ReportTask', { task_id: string; attempt: number; result: AttemptResult }>
  | Order<'ReleaseTask', { task_id: string; attempt: number; why: 'lease_expired' | 'runner_lost' }>
  /** Time has come: whatever is due happens. */
  | Order<'Tick', object>;

export type CommandOf<Type extends MissionCommand['type']> = Extract<MissionCommand, { type: Type }>;

export type MissionRejection =
  | Readonly<{
      code:
        | 'mission-not-found'
        | 'mission-exists'
        | 'operator-key-required'
        | 'verdict-required'
        | 'approval-mismatch'
        | 'plan-incomplete';
    }>
  | Readonly<{ code: 'illegal-transition'; status: MissionStatus; possible: readonly MissionVerb[] }>
  | Readonly<{ code: 'plan-underrated'; effective_rank: Rank }>
  | Readonly<{ code: 'verdict-mismatch' | 'permit-mismatch'; field: string }>
  | Readonly<{ code: 'permit-expired'; expires_at: string }>
  | Readonly<{ code: 'grant-required'; task_id: string; rank: Rank }>
  | Readonly<{ code: 'task-not-found'; task_id: string }>
  | Readonly<{ code: 'task-not-ready'; task_id: string; status: TaskStatus }>
  | Readonly<{ code: 'stale-attempt'; task_id: string; attempt: number }>;

export type MissionDecision = Decision<MissionEvent, MissionRejection>;
