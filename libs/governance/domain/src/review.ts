// Review
//
// A person's word on a mission that ran flagged.
//
//   R1. Only an operator reviews. "Not fine" takes a reason, since it takes back what the mission gave.
//   R2. A review is given once: repeating it adds nothing, and the opposite is refused.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { Flagged, ReviewDocument, ReviewEvent, ReviewVerdict } from '@nexusmon/governance-contract';

type ReviewGiven = Extract<ReviewEvent, { type: 'ReviewGiven' }>['data'];

export type ReviewCommand = Readonly<{
  type: 'GiveReview';
  actor: string;
  time: string;
  data: Flagged & Readonly<{ verdict: ReviewVerdict; reason?: string }>;
}>;
export type GivenReview = Readonly<{ status: 'reviewed'; review: ReviewGiven; reviewed_at: string }>;
export type Review = Readonly<{ status: 'open' }> | GivenReview;
export type ReviewRejection =
  | Readonly<{ code: 'operator-required' | 'reason-required' }>
  | Readonly<{ code: 'review-given'; verdict: ReviewVerdict }>;
type ReviewDecision = Decision<ReviewEvent, ReviewRejection>;

const decide = ({ actor, time, data }: ReviewCommand, state: Review): ReviewDecision => {
  if (!actor.startsWith('operator:')) return reject({ code: 'operator-required' });
  if (state.status === 'reviewed') {
    const { verdict } = state.review;
    return verdict === data.verdict ? nothing : reject({ code: 'review-given', verdict });
  }
  if (data.verdict === 'not_fine' && data.reason === undefined) return reject({ code: 'reason-required' });
  return accept({ type: 'ReviewGiven', actor, time, data: { ...data, reviewed_by: actor } });
};

export const review: Decider<Review, ReviewCommand, ReviewEvent, ReviewRejection> = {
  initial: { status: 'open' },
  decide,
  evolve: (_, { time, data }) => ({ status: 'reviewed', review: data, reviewed_at: time }),
};

export const toReviewDocument = ({ status, review: given, reviewed_at }: GivenReview): ReviewDocument => ({
  ...given,
  status,
  reviewed_at,
});
