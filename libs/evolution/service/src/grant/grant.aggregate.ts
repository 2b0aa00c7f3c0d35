import { keyedId, type Aggregate } from '@nexusmon/event-log';
import { grantEvents, type Capability, type GrantEvent } from '@nexusmon/evolution-contract';
import { grant, type GrantCommand, type GrantRejection, type GrantState } from '@nexusmon/evolution-domain';

export const grantAggregate: Aggregate<GrantState, GrantCommand, GrantEvent, GrantRejection> = {
  context: 'evolution',
  name: 'grant',
  decider: grant,
  events: grantEvents,
};

/** One for each capability. */
export const grantIdOf = (capability: Capability): string => keyedId('grt', capability);
