import { tokenEvents } from '@nexusmon/access-contract';
import { token } from '@nexusmon/access-domain';

export const tokenAggregate = {
  context: 'access',
  name: 'token',
  decider: token,
  events: tokenEvents,
} as const;
