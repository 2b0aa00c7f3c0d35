import type { NamedMigration } from '@nexusmon/projections';
import { MissionView } from './0001-mission-view.js';
import { MissionTrace } from './0002-mission-trace.js';
import { MissionRowsInline } from './0003-mission-rows-inline.js';
import { MissionLists } from './0004-mission-lists.js';
import { DeadLetters } from './0005-dead-letters.js';
import { MissionListOrder } from './0006-mission-list-order.js';

export const missionMigrations: readonly NamedMigration[] = [
  { name: '0001-mission-view', class: MissionView },
  { name: '0002-mission-trace', class: MissionTrace },
  { name: '0003-mission-rows-inline', class: MissionRowsInline },
  { name: '0004-mission-lists', class: MissionLists },
  { name: '0005-dead-letters', class: DeadLetters },
  { name: '0006-mission-list-order', class: MissionListOrder },
];
