import type { NamedMigration } from '@nexusmon/projections';
import { SessionView } from './migrations/0001-session-view.js';

export const accessMigrations: readonly NamedMigration[] = [{ name: '0001-session-view', class: SessionView }];
