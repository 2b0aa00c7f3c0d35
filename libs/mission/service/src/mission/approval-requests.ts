import { Injectable } from '@nestjs/common';
import { Logger } from '@nexusmon/telemetry';
import { keyedId } from '@nexusmon/event-log';
import {
  awaitedApprovals,
  exists,
  isDerived,
  rankOfTask,
  taskOf,
  type ExistingMission,
  type Mission,
  type TaskState,
} from '@nexusmon/mission-domain';
import { away, Governance } from '../dispatch/governance.client.js';
import { Enclosures } from '../enclosure/enclosures.js';
import { BlobLost } from '../vault/vault.client.js';
import { SERVICE } from './mission-log.js';

const SUMMARY_LENGTH_MAX = 8_000;

/** Asks governance for the approvals that a mission awaits. Asking again is harmless. */
@Injectable()
export class ApprovalRequests {
  constructor(
    private readonly governance: Governance,
    private readonly enclosures: Enclosures,
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
    const awaited = awaitedApprovals(state);
    if (awaited.length === 0) return;
    const shown = await this.opened(state);
    for (const { approval_id, task_id } of awaited) {
      if (key_id === undefined) throw new Error(`mission ${state.request.mission_id} has no data key`);
      const reply = await this.governance.requestApproval({ ...describe(shown, approval_id, task_id), key_id });
      if (reply.kind === 'refused') throw new Error(`approval ${approval_id}: ${reply.refusal.detail}`);
      if (reply.kind === 'unavailable') throw away(reply.unavailable);
    }
  }

  /** Inputs that are lost cannot be shown, and nothing that needs them will run. */
  private async opened(state: ExistingMission): Promise<ExistingMission> {
    try {
      return await this.enclosures.open(state);
    } catch (error) {
      if (error instanceof BlobLost) return state;
      throw error;
    }
  }
}

const describe = (state: ExistingMission, approval_id: string, task_id: string | undefined) => {
  const { mission_id, requested_by, goal } = state.request;
  const task = task_id === undefined ? undefined : taskOf(state, task_id);
  const asked = { actor: SERVICE, command_id: keyedId('cmd', 'request_approval', approval_id) };
  const tasks = task ? [task] : state.tasks;
  return {
    asked,
    approval_id,
    mission_id,
    plan_digest: state.plan.plan_digest,
    rank: task ? rankOfTask(state, task) : state.plan.effective_rank,
    requested_by,
    reasons: state.verdict?.rulings.map(({ explanation }) => explanation) ?? [],
    summary: summaryOf(goal, tasks),
    derived_inputs: state.tasks.filter(({ plan }) => isDerived(plan)).map(({ plan }) => plan.task_id),
    ...(task_id ? { task_id } : {}),
    ...(task?.approval ? { effect_digest: task.approval.effect_digest } : {}),
  };
};

/** Every task has its line; where they come to too much, long inputs are cut, and say so. */
const summaryOf = (goal: string, tasks: readonly TaskState[]): string => {
  const heads = tasks.map(({ plan }) => `${plan.task_id}: ${plan.worker} `);
  const inputs = tasks.map(({ plan }) => (plan.input === undefined ? 'its input is lost' : JSON.stringify(plan.input)));
  const left = SUMMARY_LENGTH_MAX - goal.length - heads.reduce((sum, head) => sum + head.length + 1, 0);
  const share = shareOf(
    inputs.map(({ length }) => length),
    left,
  );
  const lines = heads.map((head, index) => head + cut(inputs[index] ?? '', share));
  return cut([goal, ...lines].join('\n'), SUMMARY_LENGTH_MAX).toWellFormed();
};

/** The longest that an input may be shown so that all fit into `left`: what short ones leave is the long ones'. */
const shareOf = (lengths: readonly number[], left: number): number => {
  let rest = left;
  for (const [index, length] of lengths.toSorted((one, other) => one - other).entries()) {
    const share = Math.max(0, Math.floor(rest / (lengths.length - index)));
    if (length > share) return share;
    rest -= length;
  }
  return Infinity;
};

const cut = (text: string, length_max: number): string => {
  if (text.length <= length_max) return text;
  const rest = ` … (${text.length} characters)`;
  return text.slice(0, Math.max(0, length_max - rest.length)) + rest;
};
