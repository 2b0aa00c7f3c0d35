import type { NamedMigration } from '@nexusmon/projections';
import { SessionView } from './migrations/0001-session-view.js';
import { TokenView } from './migrations/0002-token-view.js';

export const accessMigrations: readonly NamedMigration[] = [
  { name: '0001-session-view', class: SessionView },
  { name: '0002-token-view', class: TokenView },
];
