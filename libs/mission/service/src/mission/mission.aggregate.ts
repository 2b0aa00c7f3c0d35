import type { Aggregate } from '@nexusmon/event-log';
import { missionEvents, type MissionEvent } from '@nexusmon/mission-contract';
import {
  isTerminal,
  mission,
  type Mission,
  type MissionCommand,
  type MissionRejection,
} from '@nexusmon/mission-domain';

export const missionAggregate: Aggregate<Mission, MissionCommand, MissionEvent, MissionRejection> = {
  context: 'mission',
  name: 'mission',
  decider: mission,
  events: missionEvents,
  state_version: 3,
  ended: isTerminal,
};
