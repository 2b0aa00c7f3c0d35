// How much of a mission one answer holds
//
//   Z1. A document that would be larger than an answer stands without what its result repeats of outputs, and without
//       the largest of these. It says how large they are. Nothing else is left out, and nothing for which there is
//       clearly room.

import type { Json } from '@nexusmon/kernel';
import type { MissionDocument, TaskDocument } from '@nexusmon/mission-contract';
import { ANSWER_BYTES_MAX, bytesOf, INLINE_BYTES_MAX } from '@nexusmon/shared-contract';

/** Each output may stand in the document twice: with its task, and in the result. The rest of it has room in this. */
const REST_BYTES_MAX = 1024 * 1024;
const isSurelySmall = ({ tasks, enclosure }: MissionDocument, bytes_max: number): boolean =>
  enclosure?.status !== 'opened' && 2 * tasks.length * INLINE_BYTES_MAX + REST_BYTES_MAX <= bytes_max;

type WithOutput = Readonly<{ output?: Json | undefined }>;

const withoutOutput = <Part extends WithOutput>({ output, ...rest }: Part) =>
  output === undefined ? rest : { ...rest, output_bytes: bytesOf(output) };

/** The document as it fits into one answer (Z1). */
export const fitted = (document: MissionDocument, bytes_max = ANSWER_BYTES_MAX): MissionDocument => {
  if (isSurelySmall(document, bytes_max) || bytesOf(document) <= bytes_max) return document;
  const { result, tasks } = document;
  const bare: MissionDocument = {
    ...document,
    tasks: tasks.map(withoutOutput),
    ...(result ? { result: withoutOutput(result) } : {}),
  };
  let left = bytes_max - bytesOf(bare);
  const kept = new Set<TaskDocument>();
  const sized = tasks.flatMap((task) => (task.output === undefined ? [] : [{ task, bytes: bytesOf(task.output) }]));
  for (const { task, bytes } of sized.toSorted((one, other) => one.bytes - other.bytes)) {
    left -= bytes + '"output":,'.length;
    if (left < 0) break;
    kept.add(task);
  }
  return { ...bare, tasks: tasks.map((task, index) => (kept.has(task) ? task : (bare.tasks[index] ?? task))) };
};
