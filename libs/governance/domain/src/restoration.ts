// Restoration
//
// The record that a log was put back from a backup, and of what was given up by it.
//
//   L1. Only an operator decides it, and only with their key's signature and a reason.
//   L2. A restoration is recorded once: the same again adds nothing.
//   L3. Every stream is a new one, so that no position of the old log means anything in it; and what is lost lies
//       behind what was put back.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { RestorationEvent, RestoredStream, SignedRestoration } from '@nexusmon/governance-contract';

export type RestorationCommand = Readonly<{
  type: 'RecordRestoration';
  actor: string;
  time: string;
  data: SignedRestoration;
}>;
export type RestorationState = Readonly<{ status: 'absent' | 'recorded' }>;
export type RestorationRejection = Readonly<{ code: 'operator-required' | 'signature-required' | 'streams-not-new' }>;

const isNew = ({ formerly, incarnation, sequence, lost_to = sequence }: RestoredStream): boolean =>
  formerly !== incarnation && lost_to >= sequence;

const decide = (
  { actor, time, data }: RestorationCommand,
  state: RestorationState,
): Decision<RestorationEvent, RestorationRejection> => {
  if (state.status === 'recorded') return nothing;
  if (!actor.startsWith('operator:')) return reject({ code: 'operator-required' });
  if (data.signature === '' || data.reason === '') return reject({ code: 'signature-required' });
  if (!data.streams.every(isNew)) return reject({ code: 'streams-not-new' });
  return accept({ type: 'LogRestored', actor, time, data: { ...data, restored_by: actor } });
};

export const restoration: Decider<RestorationState, RestorationCommand, RestorationEvent, RestorationRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve: () => ({ status: 'recorded' }),
};
