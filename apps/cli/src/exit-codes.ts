// How the command line ends. Scripts branch on these: a code keeps its meaning.

import type { ProblemDocument } from '@nexusmon/client';

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  not_found: 3,
  credential: 4,
  conflict: 5,
  denied: 6,
  awaiting_approval: 7,
  unavailable: 8,
  timeout: 124,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANINGS: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, 'It was done. Of a mission that was waited for: completed.'],
  [EXIT.failure, 'It failed. Of a mission: failed or cancelled. Of doctor: something is wrong.'],
  [EXIT.usage, 'It was not understood, or does not fit what the gateway takes.'],
  [EXIT.not_found, 'There is no such thing.'],
  [EXIT.credential, 'The credential is missing, wrong, or locked out.'],
  [EXIT.conflict, 'Not possible in the present state, or the key was used for something else.'],
  [EXIT.denied, 'Not permitted. Of a mission: its approval was denied.'],
  [EXIT.awaiting_approval, 'The mission waits for an approval.'],
  [EXIT.unavailable, 'Nothing answers there, or it cannot at the moment.'],
  [EXIT.timeout, 'The time given with --timeout or --wait is over.'],
  [EXIT.interrupted, 'Interrupted (SIGINT).'],
  [EXIT.terminated, 'Terminated (SIGTERM).'],
];

const BY_CODE: Readonly<Record<string, ExitCode>> = {
  'idempotency-key-reused': EXIT.conflict,
  'operator-key-required': EXIT.credential,
  'operator-key-refused': EXIT.credential,
  'too-many-requests': EXIT.unavailable,
};

const BY_STATUS: Readonly<Record<number, ExitCode>> = {
  401: EXIT.credential,
  403: EXIT.denied,
  404: EXIT.not_found,
  409: EXIT.conflict,
  412: EXIT.conflict,
  429: EXIT.credential,
  500: EXIT.failure,
};

const FIRST_FAULT_STATUS = 500;

export const exitOfProblem = ({ code, status }: ProblemDocument): ExitCode =>
  BY_CODE[code] ?? BY_STATUS[status] ?? (status > FIRST_FAULT_STATUS ? EXIT.unavailable : EXIT.usage);
