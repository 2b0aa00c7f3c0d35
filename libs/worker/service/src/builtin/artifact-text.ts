import { createHash } from 'node:crypto';
import type { ArtifactRef } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { WorkerFault } from '../worker-plugin.js';
import type { WorkerContext } from '../worker-plugin.js';

/** The text of an artifact, hashed again: what a verifier reads must be what was put. */
export const artifactText = async ({ artifact_id, name, sha256 }: ArtifactRef, context: WorkerContext) => {
  const bytes = await context.get_artifact(artifact_id);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new WorkerFault(`${name} is not the artifact that was put`, false);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
};

/** An artifact of ours as its schema has it. */
export const artifactDocument = async <Document>(
  ref: ArtifactRef,
  schema: z.ZodType<Document>,
  context: WorkerContext,
) => {
  const text = await artifactText(ref, context);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new WorkerFault(`${ref.name} is not JSON`, false, { cause: error });
    throw error;
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new WorkerFault(`${ref.name} is malformed: ${z.prettifyError(parsed.error).slice(0, 500)}`, false);
  return parsed.data;
};
