import { messageOf } from '@nexusmon/event-log';
import { stageEvents, type StageChangeDocument, type StageEvent } from '@nexusmon/evolution-contract';
import type { Projection, Row } from '@nexusmon/projections';

export const STAGE_CHANGE_VIEW = 'evolution.stage_change_view';
export const STAGE_CHANGE_DDL = `
create table ${STAGE_CHANGE_VIEW} (
  revision integer primary key,
  changed_at text not null,
  change jsonb not null
);`;

/** The history of the stage, as its events tell it. */
export const stageChangeProjection: Projection = {
  name: 'evolution.stage_change',
  context: 'evolution',
  reads: [{ context: 'evolution', name: 'stage', events: stageEvents }],
  tables: [{ name: STAGE_CHANGE_VIEW, key: ['revision'] }],
  on: (commits, store) => {
    for (const { events } of commits)
      for (const event of events) {
        const { time, data } = messageOf(event) as StageEvent;
        const { revision, ...change } = data;
        store.table(STAGE_CHANGE_VIEW).put({ revision, changed_at: time, change });
      }
  },
};

export const toStageChange = ({ change, changed_at }: Row): StageChangeDocument =>
  ({ ...(change as object), changed_at }) as StageChangeDocument;
