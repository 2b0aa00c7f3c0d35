import type { Json } from '@nexusmon/kernel';
import { artifactRef } from '@nexusmon/worker-contract';

/** Larger than any honest input names; the vault keeps no more. */
const NAMED_MAX = 1_000;

/**
 * The artifacts of its own mission that a task's input refers to: what the task is given to work from, whether its
 * worker reads the bytes or goes by the figures that stand beside the reference.
 */
export const namedArtifacts = (input: Json, mission_id: string): readonly string[] => {
  const named = new Set<string>();
  const waiting: Json[] = [input];
  for (let value = waiting.pop(); value !== undefined && named.size < NAMED_MAX; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const reference = 'artifact_id' in value ? artifactRef.safeParse(value) : undefined;
    if (reference?.success && reference.data.name.startsWith(`${mission_id}/`)) named.add(reference.data.artifact_id);
    // Last in, first out: so the first to be named comes first.
    else waiting.push(...Object.values(value).reverse());
  }
  return [...named];
};
