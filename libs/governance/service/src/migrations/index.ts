import type { NamedMigration } from '@nexusmon/projections';
import { ApprovalsAndReviews } from './0001-approvals-and-reviews.js';

export const governanceMigrations: readonly NamedMigration[] = [
  { name: '0001-approvals-and-reviews', class: ApprovalsAndReviews },
];
