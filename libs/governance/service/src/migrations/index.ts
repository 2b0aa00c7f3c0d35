import type { NamedMigration } from '@nexusmon/projections';
import { ApprovalsAndReviews } from './0001-approvals-and-reviews.js';
import { ReviewsGiven } from './0002-reviews-given.js';

export const governanceMigrations: readonly NamedMigration[] = [
  { name: '0001-approvals-and-reviews', class: ApprovalsAndReviews },
  { name: '0002-reviews-given', class: ReviewsGiven },
];
