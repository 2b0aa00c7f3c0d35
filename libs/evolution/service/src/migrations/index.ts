import type { NamedMigration } from '@nexusmon/projections';
import { ProgressViews } from './0001-progress-views.js';
import { StagesAndGrants } from './0002-stages-and-grants.js';

export const evolutionMigrations: readonly NamedMigration[] = [
  { name: '0001-progress-views', class: ProgressViews },
  { name: '0002-stages-and-grants', class: StagesAndGrants },
];
