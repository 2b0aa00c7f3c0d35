import { Injectable } from '@nestjs/common';
import { Logger } from '@nexusmon/telemetry';
import { keyedId } from '@nexusmon/event-log';
import {
  awaitedApprovals,
  exists,
  rankOfTask,
  taskOf,
  type ExistingMission,
  type Mission,
} from '@nexusmon/mission-domain';
import { refersToOutputs } from '@nexusmon/mission-domain';
import { away, Governance } from '../dispatch/governance.client.js';
import { SERVICE } from './mission-log.js';

const SUMMARY_LENGTH_MAX = 8_000;

/** Asks governance for the approvals that a mission awaits. Asking again is harmless. */
@Injectable()
export class ApprovalRequests {
  constructor(
    private readonly governance: Governance,
    private readonly log: Logger,
  ) {}

  /** What cannot be asked now is asked by the reactor, which reads the same commit from the log. */
  async request(state: Mission, key_id: string | undefined): Promise<void> {
    try {
      await this.requestAll(state, key_id);
    } catch (error) {
      const mission_id = exists(state) ? state.request.mission_id : undefined;
      this.log.warn({ msg: 'approval not requested yet, the reactor will', mission_id, error });
    }
  }

  async requestAll(state: Mission, key_id: string | undefined): Promise<void> {
    if (!exists(state)) return;
    for (const { approval_id, task_id } of awaitedApprovals(state)) {
      if (key_id === undefined) throw new Error(`mission ${state.request.mission_id} has no data key`);
      const reply = await this.governance.requestApproval({ ...describe(state, approval_id, task_id), key_id });
      if (reply.kind === 'refused') throw new Error(`approval ${approval_id}: ${reply.refusal.detail}`);
      if (reply.kind === 'unavailable') throw away(reply.unavailable);
    }
  }
}

const describe = (state: ExistingMission, approval_id: string, task_id: string | undefined) => {
  const { mission_id, requested_by, goal } = state.request;
  const task = task_id === undefined ? undefined : taskOf(state, task_id);
  const asked = { actor: SERVICE, command_id: keyedId('cmd', 'request_approval', approval_id) };
  const tasks = task ? [task] : state.tasks;
  const lines = tasks.map(({ plan }) => `${plan.task_id}: ${plan.worker} ${JSON.stringify(plan.input)}`);
  return {
    asked,
    approval_id,
    mission_id,
    plan_digest: state.plan.plan_digest,
    rank: task ? rankOfTask(state, task) : state.plan.effective_rank,
    requested_by,
    reasons: state.verdict?.rulings.map(({ explanation }) => explanation) ?? [],
    summary: [goal, ...lines].join('\n').slice(0, SUMMARY_LENGTH_MAX).toWellFormed(),
    derived_inputs: state.tasks.filter(({ plan }) => refersToOutputs(plan.input)).map(({ plan }) => plan.task_id),
    ...(task_id ? { task_id } : {}),
    ...(task?.approval ? { effect_digest: task.approval.effect_digest } : {}),
  };
};
