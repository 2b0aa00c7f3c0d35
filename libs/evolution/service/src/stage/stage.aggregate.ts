import { keyedId, type Aggregate } from '@nexusmon/event-log';
import { stageEvents, type StageEvent } from '@nexusmon/evolution-contract';
import { stageDecider, type StageCommand, type StageRejection, type StageState } from '@nexusmon/evolution-domain';

export const stageAggregate: Aggregate<StageState, StageCommand, StageEvent, StageRejection> = {
  context: 'evolution',
  name: 'stage',
  decider: stageDecider(),
  events: stageEvents,
};

/** One organism, one stage. */
export const STAGE_ID = keyedId('stg', 'organism');
