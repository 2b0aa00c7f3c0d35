// What the runner and one of its threads say to each other. Both are of the same build; what a thread sends is checked
// all the same, because the worker in it can send anything.

import { FAULT_CODES } from '@nexusmon/worker-contract';
import { z } from 'zod';

export type ThreadSetup = Readonly<{
  modules: readonly string[];
  allowed_roots: readonly string[];
  forbidden_roots: readonly string[];
  turns: SharedArrayBuffer;
}>;

export type ToThread =
  | Readonly<{
      kind: 'run';
      run: string;
      turn: number;
      worker: string;
      task: Readonly<{ mission_id: string; task_id: string; attempt: number; input: unknown }>;
      egress: readonly string[];
      output_bytes_max: number;
    }>
  | Readonly<{ kind: 'abort'; run: string; why: string }>
  | Readonly<{ kind: 'answered'; call: number; answer: unknown }>
  | Readonly<{ kind: 'not_answered'; call: number; message: string; retryable: boolean }>;

/** Random: what a worker left behind cannot speak for a later task. */
const run = z.string();
const took_ms = z.number();
const call = z.int();
const bytes = z.custom<Uint8Array>((value) => ArrayBuffer.isView(value));

export const fromThread = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('completed'), run, took_ms, text: z.string() }),
  z.object({
    kind: z.literal('failed'),
    run,
    took_ms,
    code: z.enum(FAULT_CODES),
    message: z.string(),
    retryable: z.boolean(),
  }),
  z.object({ kind: z.literal('put_artifact'), run, call, file: z.string(), media_type: z.string(), bytes }),
  z.object({ kind: z.literal('get_artifact'), run, call, artifact_id: z.string() }),
  z.object({ kind: z.literal('progress'), run, message: z.string(), fraction: z.number().optional() }),
]);
export type FromThread = z.infer<typeof fromThread>;
