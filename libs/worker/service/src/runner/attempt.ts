// One attempt, from the assignment to its result.
//
//   A1. Nothing runs that the permit does not allow (permit-check.ts).
//   A2. It ends by its deadline: completed, failed, or stopped, never open.
//   A3. What is said of it can be kept by every store: bounded, plain JSON, large outputs by digest.
//   A4. An output that cannot be kept ends the task at once: the same worker would answer the same input the same way,
//       and every try would cost as much as the first. What threw or ran out of time may have met a passing trouble.

import { canonical } from '@nexusmon/event-log';
import { findUnkeepable, INLINE_BYTES_MAX, OUTPUT_BYTES_MAX } from '@nexusmon/shared-contract';
import type { Json } from '@nexusmon/kernel';
import type { Signatures } from '@nexusmon/keys';
import { traceparent, withTraceparent } from '@nexusmon/telemetry';
import type { ArtifactRef, Assignment, AttemptResult, TaskError, WorkerManifest } from '@nexusmon/worker-contract';
import { WorkerFault } from '../worker-plugin.js';
import { KeepingStopped, VaultAway, type ArtifactKeeper } from './artifact-keeper.js';
import { namedArtifacts } from './named-artifacts.js';
import { taskFault } from './fault.js';
import { permitFault } from './permit-check.js';
import type { PooledRun, ThreadPool } from './thread-pool.js';

/** The commit that ends the attempt lists them all and is bounded itself. */
export const ARTIFACTS_MAX = 256;
/** What the vault takes as the inputs of one artifact. */
const INPUTS_MAX = 1_000;
const MS_PER_SECOND = 1_000;

export type AttemptTools = Readonly<{
  pool: ThreadPool;
  keeper: ArtifactKeeper;
  governance: Signatures;
  manifests: ReadonlyMap<string, WorkerManifest>;
  progress: (message: string, fraction: number | undefined) => void;
}>;

type End = Readonly<{ output: Json; output_ref?: ArtifactRef }> | Readonly<{ error: TaskError }>;

export class Attempt {
  private readonly began_ms = performance.now();
  private readonly artifacts: ArtifactRef[] = [];
  private readonly read_ids = new Set<string>();
  private given: readonly string[] | undefined;
  private readonly over = new AbortController();
  private run: PooledRun | undefined;
  private stopped = false;
  private vault_away = false;

  constructor(
    readonly assignment: Assignment,
    private readonly tools: AttemptTools,
  ) {}

  /** Undefined when it was stopped from outside: then nobody waits for a result. */
  async result(): Promise<AttemptResult | undefined> {
    const deadline_ms = this.deadline();
    const timer = setTimeout(() => this.over.abort(), Math.max(0, deadline_ms - Date.now()));
    try {
      const end = await this.perform(deadline_ms);
      if (this.stopped) return undefined;
      const duration_ms = performance.now() - this.began_ms;
      if ('error' in end) return { outcome: 'failed', error: end.error, duration_ms };
      return { outcome: 'completed', ...end, artifacts: this.artifacts, duration_ms };
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.stopped = true;
    this.over.abort();
    this.run?.stop();
  }

  /** The permitted time, from now, unless the mission gives up earlier. Clocks may differ; the shorter wait wins. */
  private deadline(): number {
    const { deadline, effect } = this.assignment;
    return Math.min(Date.parse(deadline), Date.now() + effect.limits.timeout_seconds * MS_PER_SECOND);
  }

  private async perform(deadline_ms: number): Promise<End> {
    const { assignment, tools } = this;
    const { mission_id, task_id, attempt, worker, input, effect } = assignment;
    const manifest = tools.manifests.get(worker);
    if (!manifest) return { error: taskFault('runner_lost', `this runner has no worker ${worker}`, true) };
    const fault = permitFault(assignment, manifest, tools.governance, Date.now());
    if (fault) return { error: taskFault('permit_invalid', fault.why, fault.retryable) };

    // A thread's messages come in the context in which it was started, for whichever task that was: not in this trace.
    const trace = traceparent();
    const here = <Done>(work: () => Promise<Done>) => withTraceparent(trace, work);
    this.run = tools.pool.run({
      worker,
      task: { mission_id, task_id, attempt, input },
      egress: effect.egress,
      output_bytes_max: Math.min(effect.limits.output_bytes_max, OUTPUT_BYTES_MAX),
      deadline_ms,
      put_artifact: (file, media_type, bytes) => here(() => this.put(file, media_type, bytes)),
      get_artifact: (artifact_id) => here(() => this.get(artifact_id)),
      progress: tools.progress,
    });
    const outcome = await this.run.outcome;
    switch (outcome.kind) {
      case 'output':
        return this.finish(outcome.text);
      case 'fault':
        return { error: this.vault_away ? lostToVault() : outcome.error };
      case 'stopped':
        return { error: taskFault('runner_lost', 'the runner stopped', true) };
    }
  }

  private async finish(text: string): Promise<End> {
    const output = JSON.parse(text) as Json;
    // The thread has looked already, but a worker in it could have spoken in its place.
    const found = findUnkeepable(output);
    if (found) return { error: taskFault('output_invalid', `the output cannot be kept: ${found.message}`, false) };
    const bytes = Buffer.from(canonical(output));
    if (bytes.length > OUTPUT_BYTES_MAX)
      return { error: taskFault('output_too_large', `the output has ${bytes.length} bytes`, false) };
    if (bytes.length <= INLINE_BYTES_MAX) return { output };
    try {
      const output_ref = await this.keep('output.json', 'application/json', bytes);
      return { output: { $artifact: output_ref.artifact_id }, output_ref };
    } catch (error) {
      if (error instanceof VaultAway) return { error: lostToVault() };
      if (error instanceof KeepingStopped)
        return { error: taskFault('worker_timed_out', 'the deadline came before the output was kept', true) };
      if (error instanceof WorkerFault) return { error: taskFault('worker_failed', error.message, error.retryable) };
      throw error;
    }
  }

  private async put(file: string, media_type: string, bytes: Uint8Array): Promise<ArtifactRef> {
    if (this.artifacts.length >= ARTIFACTS_MAX)
      throw new WorkerFault(`an attempt may keep ${ARTIFACTS_MAX} artifacts`, false);
    const ref = await this.noticing(() => this.keep(file, media_type, bytes));
    this.artifacts.push(ref);
    return ref;
  }

  private async get(artifact_id: string): Promise<Uint8Array<ArrayBuffer>> {
    const { mission_id } = this.assignment;
    const bytes = await this.noticing(() => this.tools.keeper.read(artifact_id, mission_id, this.over.signal));
    this.read_ids.add(artifact_id);
    return bytes;
  }

  private keep(file: string, media_type: string, bytes: Uint8Array): Promise<ArtifactRef> {
    const { mission_id, task_id, attempt, worker, input } = this.assignment;
    const producer = { mission_id, task_id, attempt, worker };
    const given = (this.given ??= namedArtifacts(input, mission_id));
    const inputs = [...new Set([...this.read_ids, ...given])].slice(0, INPUTS_MAX);
    return this.tools.keeper.keep({ producer, file, media_type, kind: 'output', bytes, inputs }, this.over.signal);
  }

  private async noticing<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof VaultAway) this.vault_away = true;
      throw error;
    }
  }
}

const lostToVault = () => taskFault('runner_lost', 'the vault was away until the time of this attempt was up', true);
