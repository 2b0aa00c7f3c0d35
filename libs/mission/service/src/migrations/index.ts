import type { NamedMigration } from '@nexusmon/projections';
import { MissionView } from './0001-mission-view.js';

export const missionMigrations: readonly NamedMigration[] = [{ name: '0001-mission-view', class: MissionView }];
