import type { NamedMigration } from '@nexusmon/projections';
import { ArtifactView } from './migrations/0001-artifact-view.js';

export const vaultMigrations: readonly NamedMigration[] = [{ name: '0001-artifact-view', class: ArtifactView }];
