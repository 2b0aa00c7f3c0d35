import type { NamedMigration } from '@nexusmon/projections';
import { ProgressViews } from './migrations/0001-progress-views.js';

export const evolutionMigrations: readonly NamedMigration[] = [{ name: '0001-progress-views', class: ProgressViews }];
