import type { NamedMigration } from '@nexusmon/projections';
import { MissionView } from './0001-mission-view.js';
import { MissionTrace } from './0002-mission-trace.js';

export const missionMigrations: readonly NamedMigration[] = [
  { name: '0001-mission-view', class: MissionView },
  { name: '0002-mission-trace', class: MissionTrace },
];
