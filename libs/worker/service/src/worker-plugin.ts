// What a worker is: the five things a plugin has, and the context it gets.

import type { ArtifactRef } from '@nexusmon/worker-contract';
import type { Rank } from '@nexusmon/shared-contract';
import type { z } from 'zod';

export type WorkerTask<Input> = Readonly<{ mission_id: string; task_id: string; attempt: number; input: Input }>;

export type WorkerContext = Readonly<{
  /** Aborted when the attempt is cancelled or out of time; the thread is ended a moment later. */
  signal: AbortSignal;
  /** Absolute real paths of folders that may be read. */
  allowed_roots: readonly string[];
  /** Absolute real paths that are never read, the data folder among them. */
  forbidden_roots: readonly string[];
  /** What the permit of this attempt names of the world outside; nothing for most. */
  egress: readonly string[];
  /** Keeps `bytes` in the vault as `<mission_id>/<task_id>/<file>`; it can be listed once this resolves. */
  put_artifact: (file: string, media_type: string, bytes: Uint8Array) => Promise<ArtifactRef>;
  /** The bytes of an artifact of the same mission, checked against its digest. */
  get_artifact: (artifact_id: string) => Promise<Uint8Array>;
  progress: (message: string, fraction?: number) => void;
}>;

export type WorkerPlugin<Input = unknown, Output = unknown> = Readonly<{
  name: string;
  version: string;
  description: string;
  capabilities: readonly string[];
  risk_level: Rank;
  requires_approval: boolean;
  timeout_seconds: number;
  input: z.ZodType<Input>;
  output: z.ZodType<Output>;
  /** Rejects with `WorkerFault` to say whether another attempt could help; any other error counts as retryable. */
  execute: (task: WorkerTask<Input>, context: WorkerContext) => Promise<Output>;
}>;

/** A failure that the worker understands. `retryable: false` ends the task at once. */
export class WorkerFault extends Error {
  override readonly name = 'WorkerFault';
  constructor(
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
