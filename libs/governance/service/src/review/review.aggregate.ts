import type { Aggregate } from '@nexusmon/event-log';
import { reviewEvents, type ReviewEvent } from '@nexusmon/governance-contract';
import { review, type Review, type ReviewCommand, type ReviewRejection } from '@nexusmon/governance-domain';

export const reviewAggregate: Aggregate<Review, ReviewCommand, ReviewEvent, ReviewRejection> = {
  context: 'governance',
  name: 'review',
  decider: review,
  events: reviewEvents,
};
