// Claiming: turns a ready task and a waiting slot into a command that claims it under a permit.
//
//   C1. The permit covers the digest of the input as it will run, computed here and again by the runner.
//   C2. Whatever cannot be permitted yields no claim: it waits for an approval, or fails the mission with the reason.

import { Injectable } from '@nestjs/common';
import { Config } from '@nexusmon/config';
import { canonical, keyedId, sha256Hex, type Identified } from '@nexusmon/event-log';
import { secondsAfter, type Json } from '@nexusmon/kernel';
import type { PermitAnswer, VerdictText } from '@nexusmon/governance-contract';
import {
  rankOfTask,
  references,
  resolveInput,
  taskOf,
  type ExistingMission,
  type MissionCommand,
  type TaskState,
} from '@nexusmon/mission-domain';
import { OUTPUT_BYTES_MAX } from '@nexusmon/shared-contract';
import { traceparent } from '@nexusmon/telemetry';
import { reachesOut, type Assignment, type Effect } from '@nexusmon/worker-contract';
import { ownCommand } from '../mission/mission-log.js';
import { WorkerCatalog } from '../planning/catalog.js';
import { Governance } from './governance.client.js';
import { Enclosures } from '../enclosure/enclosures.js';
import { Outputs } from '../vault/outputs.js';
import { BlobLost } from '../vault/vault.client.js';

/** What an assignment carries must reach the runner in one message. */
const INPUT_BYTES_MAX = 4 * 1024 * 1024;

/** `bytes`: of the input, the part of an assignment that may be large. */
export type Claim = Readonly<{ command: Identified<MissionCommand>; assignment?: Assignment; bytes: number }>;
type Resolved = Readonly<{ input: Json; derived: boolean }> | Readonly<{ refused: string }>;

@Injectable()
export class Claiming {
  /** What is asked for; governance says whether it may be. */
  private readonly egress: readonly string[];

  constructor(
    private readonly governance: Governance,
    private readonly catalog: WorkerCatalog,
    private readonly outputs: Outputs,
    private readonly enclosures: Enclosures,
    config: Config,
  ) {
    this.egress = config.egress.map(({ text }) => text);
  }

  /** What becomes of a ready task for which `runner_id` has a slot. Throws `Unavailable` while it cannot be known. */
  async claim(state: ExistingMission, task: TaskState, runner_id: string): Promise<Claim> {
    const { mission_id } = state.request;
    const resolved = await this.resolve(state, task);
    if ('refused' in resolved) return refuse(mission_id, task, 'input_unresolvable', resolved.refused);
    const text = canonical(resolved.input);
    const bytes = Buffer.byteLength(text);
    if (bytes > INPUT_BYTES_MAX)
      return refuse(mission_id, task, 'input_unresolvable', `it comes to ${bytes} bytes, ${INPUT_BYTES_MAX} may be`);
    const effect = effectOf(state, task, sha256Hex(text), this.egress);
    const answer = await this.governance.authorize({
      effect,
      verdict: signedVerdict(state),
      plan_digest: state.plan.plan_digest,
      ...(state.approval ? { approval_id: state.approval.approval_id } : {}),
      ...(task.approval ? { task_approval_id: task.approval.approval_id } : {}),
      task_gate: task.plan.requires_approval,
      derived_input: resolved.derived,
    });
    return { ...this.answered(answer, { mission_id, task, runner_id, input: resolved.input, effect }), bytes };
  }

  private answered(
    answer: PermitAnswer,
    {
      mission_id,
      task,
      runner_id,
      input,
      effect,
    }: { mission_id: string; task: TaskState; runner_id: string; input: Json; effect: Effect },
  ): Omit<Claim, 'bytes'> {
    const { task_id } = task.plan;
    switch (answer.kind) {
      case 'refused':
        return refuse(mission_id, task, 'not_permitted', answer.detail);
      case 'needs_approval': {
        const { why, effect_digest } = answer;
        const approval_id = keyedId('apr', mission_id, task_id, effect_digest);
        return {
          command: ownCommand(mission_id, { type: 'GateTask', data: { task_id, approval_id, effect_digest, why } }),
        };
      }
      case 'permitted': {
        const { permit } = answer;
        const deadline = secondsAfter(new Date().toISOString(), effect.limits.timeout_seconds);
        const { attempt, worker, input_digest } = effect;
        const data = { task_id, runner_id, input_digest, permit, deadline };
        const trace = traceparent();
        const assignment = { mission_id, task_id, attempt, worker, input, effect, permit, deadline };
        return {
          command: ownCommand(mission_id, { type: 'ClaimTask', data }),
          assignment: trace === undefined ? assignment : { ...assignment, traceparent: trace },
        };
      }
    }
  }

  private async resolve(state: ExistingMission, task: TaskState): Promise<Resolved> {
    try {
      return await this.resolveFrom(await this.enclosures.open(state), task.plan);
    } catch (error) {
      if (error instanceof BlobLost) return { refused: error.message };
      throw error;
    }
  }

  private async resolveFrom(state: ExistingMission, { task_id, worker }: TaskState['plan']): Promise<Resolved> {
    const written = taskOf(state, task_id)?.plan.input;
    if (written === undefined) throw new Error(`task ${task_id} has no input`);
    const wanted = new Set(references(written).flatMap((found) => ('malformed' in found ? [] : [found.task_id])));
    const outputs = new Map<string, Json>();
    for (const { plan, progress } of state.tasks) {
      if (progress.status !== 'completed') continue;
      if (!wanted.has(plan.task_id)) continue;
      outputs.set(plan.task_id, progress.output_ref ? await this.outputs.read(progress.output_ref) : progress.output);
    }
    const resolved = resolveInput({ input: written }, outputs);
    if (resolved.kind === 'unresolvable') return { refused: `${resolved.path}: ${resolved.message}` };
    const known = this.catalog.get(worker);
    const parsed = known?.input.safeParse(resolved.input);
    if (parsed?.success === false) {
      const [issue] = parsed.error.issues;
      return { refused: `input of ${worker}: ${issue?.path.join('/') ?? ''}: ${issue?.message ?? ''}` };
    }
    return { input: resolved.input, derived: resolved.derived };
  }
}

const signedVerdict = ({ request, verdict, verdict_signature }: ExistingMission): VerdictText => {
  if (!verdict || verdict_signature === undefined) throw new Error(`${request.mission_id} runs and was never judged`);
  return { text: canonical(verdict), signature: verdict_signature };
};

const effectOf = (
  state: ExistingMission,
  task: TaskState,
  input_digest: string,
  egress: readonly string[],
): Effect => ({
  attempt: task.attempt + 1,
  egress: reachesOut(task.plan.worker) ? [...egress] : [],
  input_digest,
  limits: { output_bytes_max: OUTPUT_BYTES_MAX, timeout_seconds: task.plan.timeout_seconds },
  mission_id: state.request.mission_id,
  rank: rankOfTask(state, task),
  task_id: task.plan.task_id,
  worker: task.plan.worker,
  worker_digest: task.plan.worker_digest,
  worker_version: task.plan.worker_version,
});

const refuse = (
  mission_id: string,
  task: TaskState,
  code: 'input_unresolvable' | 'not_permitted',
  message: string,
): Claim => ({
  command: ownCommand(mission_id, { type: 'RefuseTask', data: { task_id: task.plan.task_id, code, message } }),
  bytes: 0,
});
