import { messageOf } from '@nexusmon/event-log';
import type { MissionEvent } from '@nexusmon/mission-contract';
import { orderOf, type Projection } from '@nexusmon/projections';
import { missionAggregate } from '../mission/mission.aggregate.js';

export const DEAD_LETTER_VIEW = 'mission.dead_letter_view';
export const DEAD_LETTER_DDL = `
create table ${DEAD_LETTER_VIEW} (
  dead_letter_id text primary key,
  mission_id text not null,
  task_id text not null,
  attempt integer not null,
  tries integer not null,
  code text not null,
  message text not null,
  dead_lettered_at text not null,
  dead_lettered_position bigint not null
);
create index on ${DEAD_LETTER_VIEW} (dead_lettered_position);
create index on ${DEAD_LETTER_VIEW} (mission_id);`;

/** More than a commit has events: their places in the log are told apart within one, too. */
const EVENTS_MAX = 1_024;

/** Tasks whose tries are used up. What the worker said of the last one comes just before, in the same commit. */
export const deadLetterProjection: Projection = {
  name: 'mission.dead_letter',
  context: 'mission',
  reads: [missionAggregate],
  events: ['TaskFailed', 'TaskDeadLettered'],
  tables: [{ name: DEAD_LETTER_VIEW, key: ['dead_letter_id'] }],
  on: (commits, store) => {
    for (const { commit, events } of commits) {
      const said = new Map<string, string>();
      for (const event of events) {
        const { type, time, data } = messageOf(event) as MissionEvent;
        if (type === 'TaskFailed') said.set(data.task_id, data.message);
        if (type !== 'TaskDeadLettered') continue;
        store.table(DEAD_LETTER_VIEW).put({
          dead_letter_id: event.id.replace(/^evt_/, 'ddl_'),
          mission_id: commit.id,
          ...data,
          message: said.get(data.task_id) ?? '',
          dead_lettered_at: time,
          dead_lettered_position: orderOf(commit) * EVENTS_MAX + event.index,
        });
      }
    }
  },
};
