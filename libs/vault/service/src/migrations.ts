import type { NamedMigration } from '@nexusmon/projections';
import { ArtifactView } from './migrations/0001-artifact-view.js';
import { ArtifactLineage } from './migrations/0002-artifact-lineage.js';
import { ArtifactStanding } from './migrations/0003-artifact-standing.js';
import { ArtifactUploads } from './migrations/0004-artifact-uploads.js';
import { BlobRemoving } from './migrations/0005-blob-removing.js';
import { BlobArrival } from './migrations/0006-blob-arrival.js';

export const vaultMigrations: readonly NamedMigration[] = [
  { name: '0001-artifact-view', class: ArtifactView },
  { name: '0002-artifact-lineage', class: ArtifactLineage },
  { name: '0003-artifact-standing', class: ArtifactStanding },
  { name: '0004-artifact-uploads', class: ArtifactUploads },
  { name: '0005-blob-removing', class: BlobRemoving },
  { name: '0006-blob-arrival', class: BlobArrival },
];
