import { describe, expect, it } from '@jest/globals';
import { reviewDocument, type ReviewEvent } from '@nexusmon/governance-contract';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { review, toReviewDocument, type GivenReview, type ReviewCommand } from './review.js';

const { given, history } = specify(review);

const ada = 'operator:ada';
const time = '2026-01-01T12:00:00.000Z';
const flagged = {
  review_id: 'rev_0190b6c1-0000-7000-8000-000000000002',
  mission_id: 'msn_0190b6c1-0000-7000-8000-000000000002',
  rank: 'C',
  decisive_rule: 'rank',
  flagged_at: '2026-01-01T11:00:00.000Z',
} as const;
const give = (over: Partial<ReviewCommand['data']>, actor = ada): ReviewCommand => ({
  ...{ type: 'GiveReview', actor, time },
  data: { ...flagged, verdict: 'fine', ...over },
});
const reviewed = (over: Partial<ReviewEvent['data']>): ReviewEvent => ({
  ...{ type: 'ReviewGiven', actor: ada, time },
  data: { ...flagged, verdict: 'fine', reviewed_by: ada, ...over },
});
const wrong = { verdict: 'not_fine', reason: 'wrong folder' } as const;

describe('a review', () => {
  it('may be fine without a word', () => given().when(give({})).then(reviewed({})));
  it('may be fine with one', () =>
    given()
      .when(give({ reason: 'well done' }))
      .then(reviewed({ reason: 'well done' })));
  it('is not fine for a reason (R1)', () => given().when(give(wrong)).then(reviewed(wrong)));
  it('is not "not fine" without one (R1)', () =>
    given()
      .when(give({ verdict: 'not_fine' }))
      .thenRejected({ code: 'reason-required' }));
  it.each(['service:governance', 'token:tok_1', 'plugin:loud', 'channel:chat'])('is not given by %s (R1)', (actor) =>
    given().when(give({}, actor)).thenRejected({ code: 'operator-required' }),
  );
  it.each([{}, wrong])('is given once: a repeat of %j adds nothing (R2)', (over) =>
    given(reviewed(over))
      .when(give({ ...over, ...('reason' in over ? { reason: 'in other words' } : {}) }))
      .thenNothing(),
  );
  it('is not taken back by the opposite (R2)', () => {
    given(reviewed({})).when(give(wrong)).thenRejected({ code: 'review-given', verdict: 'fine' });
    given(reviewed(wrong)).when(give({})).thenRejected({ code: 'review-given', verdict: 'not_fine' });
  });
  it('is one event, whatever is tried (R2)', () =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom(give({}), give(wrong), give({}, 'plugin:loud'))), (commands) => {
        expect(history(commands).length).toBeLessThanOrEqual(1);
      }),
    ));
  it('is shown as what it says', () => {
    const document = toReviewDocument(given(reviewed(wrong)).state() as GivenReview);
    expect(reviewDocument.parse(document)).toEqual({
      ...{ ...flagged, ...wrong, status: 'reviewed', reviewed_by: ada, reviewed_at: time },
    });
  });
});
