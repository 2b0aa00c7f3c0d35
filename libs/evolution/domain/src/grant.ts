// Grant
//
// What an operator has said of one capability, beside what its stage says.
//
//   G1. Only an operator rules, with the operator key and a reason.
//   G2. The last ruling stands until the other is made. Repeating one adds nothing.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { Capability, CapabilityRuling, GrantEvent, RulingDocument } from '@nexusmon/evolution-contract';

type Ruling = Readonly<{ capability: Capability; reason: string; sovereign: boolean }>;
type Order<Type extends string> = Readonly<{ type: Type; actor: string; time: string; data: Ruling }>;
/** `sovereign`: the operator key came with this and was right. */
export type GrantCommand = Order<'GrantCapability'> | Order<'RevokeCapability'>;

export type GrantState =
  | Readonly<{ status: 'unruled' }>
  | Readonly<{ status: CapabilityRuling; capability: Capability; by: string; at: string; reason: string }>;
export type GrantRejection = Readonly<{ code: 'operator-required' | 'operator-key-required' }>;
type GrantDecision = Decision<GrantEvent, GrantRejection>;

const decide = (command: GrantCommand, { status }: GrantState): GrantDecision => {
  const { actor, time, data } = command;
  const { capability, reason, sovereign } = data;
  if (!actor.startsWith('operator:')) return reject({ code: 'operator-required' });
  if (!sovereign) return reject({ code: 'operator-key-required' });
  const by = { actor, time };
  switch (command.type) {
    case 'GrantCapability':
      if (status === 'granted') return nothing;
      return accept({ type: 'CapabilityGranted', ...by, data: { capability, granted_by: actor, reason } });
    case 'RevokeCapability':
      if (status === 'revoked') return nothing;
      return accept({ type: 'CapabilityRevoked', ...by, data: { capability, revoked_by: actor, reason } });
  }
};

const evolve = (_: GrantState, { type, actor: by, time: at, data }: GrantEvent): GrantState => {
  const { capability, reason } = data;
  return { status: type === 'CapabilityGranted' ? 'granted' : 'revoked', capability, by, at, reason };
};

export const grant: Decider<GrantState, GrantCommand, GrantEvent, GrantRejection> = {
  initial: { status: 'unruled' },
  decide,
  evolve,
};

/** As it is shown; undefined where nobody has ruled. */
export const rulingOf = (state: GrantState): RulingDocument | undefined => {
  if (state.status === 'unruled') return undefined;
  const { status: ruling, by, at, reason } = state;
  return { ruling, by, at, reason };
};
