import { sessionEvents } from '@nexusmon/access-contract';
import { session } from '@nexusmon/access-domain';

export const sessionAggregate = {
  context: 'access',
  name: 'session',
  decider: session,
  events: sessionEvents,
} as const;
