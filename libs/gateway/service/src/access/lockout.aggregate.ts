import { lockoutEvents } from '@nexusmon/access-contract';
import { lockout } from '@nexusmon/access-domain';

export const lockoutAggregate = {
  context: 'access',
  name: 'lockout',
  decider: lockout,
  events: lockoutEvents,
} as const;
