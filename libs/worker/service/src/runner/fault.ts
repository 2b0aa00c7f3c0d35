// What a runner says of an attempt that did not succeed.

import type { TaskError } from '@nexusmon/worker-contract';

const MESSAGE_LENGTH_MAX = 4_000;
const KEPT_LENGTH_MAX = MESSAGE_LENGTH_MAX - 1;

/** Text of a stranger's error, so that every store of ours can keep it. */
export const keepableText = (text: string): string => {
  const kept = text.toWellFormed().replaceAll('\u0000', '\uFFFD');
  if (kept.length <= MESSAGE_LENGTH_MAX) return kept;
  // A cut through a pair would leave half of it.
  return `${kept.slice(0, KEPT_LENGTH_MAX).toWellFormed()}…`;
};

export const taskFault = (code: TaskError['code'], message: string, retryable: boolean): TaskError => ({
  code,
  message: keepableText(message) || code,
  retryable,
});
