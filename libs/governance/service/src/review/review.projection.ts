// Reviews: what somebody should look at, and what they said.
//
//   R1. A mission is listed once it ran flagged; a review only adds to its row. Whichever is read first, the row is the
//       same in the end: a review carries what it was about.

import type { ReviewDocument, ReviewEvent, Verdict } from '@nexusmon/governance-contract';
import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import { missionEvents } from '@nexusmon/mission-contract';
import { orderOf, type FeedCommit, type Projection, type Row, type TableStore } from '@nexusmon/projections';
import { reviewAggregate } from './review.aggregate.js';

export const REVIEW_VIEW = 'governance.review_view';
export const REVIEW_VIEW_DDL = `
create table ${REVIEW_VIEW} (
  review_id text primary key,
  mission_id text not null,
  rank text not null,
  decisive_rule text not null,
  flagged_at text not null,
  flagged_position bigint not null,
  key_id text,
  status text not null,
  verdict text,
  reviewed_by text,
  reviewed_at text,
  reason text
);
create index on ${REVIEW_VIEW} (flagged_position);
create index on ${REVIEW_VIEW} (status, flagged_position);`;

const NOT_REVIEWED = { status: 'open', verdict: null, reviewed_by: null, reviewed_at: null, reason: null };

/** A mission is reviewed once: the review has the mission's own UUID. */
const reviewIdOf = (mission_id: string) => `rev_${mission_id.slice('msn_'.length)}`;

const flag = async (event: RecordedEvent, commit: FeedCommit, reviews: TableStore): Promise<void> => {
  const { claims } = event.data['verdict'] as Verdict;
  if (claims.outcome !== 'execute_and_flag') return;
  const review_id = reviewIdOf(claims.mission_id);
  reviews.put({
    ...NOT_REVIEWED,
    ...(await reviews.get(review_id)),
    ...{ review_id, mission_id: claims.mission_id, rank: claims.effective_rank, decisive_rule: claims.decisive_rule },
    ...{ flagged_at: event.time, flagged_position: orderOf(commit), key_id: commit.key_id ?? null },
  });
};

const give = async (event: RecordedEvent, commit: FeedCommit, reviews: TableStore): Promise<void> => {
  const { time, data } = messageOf(event) as ReviewEvent;
  const row = await reviews.get(data.review_id);
  reviews.put({
    ...{ flagged_position: orderOf(commit), key_id: commit.key_id ?? null },
    ...data,
    ...row,
    ...{ status: 'reviewed', verdict: data.verdict, reviewed_by: data.reviewed_by, reviewed_at: time },
    reason: data.reason ?? null,
  });
};

export const reviewProjection: Projection = {
  name: 'governance.review',
  context: 'governance',
  reads: [{ context: 'mission', name: 'mission', events: missionEvents }, reviewAggregate],
  events: ['MissionGated', 'ReviewGiven'],
  tables: [{ name: REVIEW_VIEW, key: ['review_id'] }],
  on: async (commits, store) => {
    const reviews = store.table(REVIEW_VIEW);
    await reviews.load(commits.map(({ commit }) => [reviewIdOf(commit.id)]));
    for (const { commit, events } of commits)
      for (const event of events) await (event.name === 'ReviewGiven' ? give : flag)(event, commit, reviews);
  },
};

const present = (row: Row, column: string) => (row[column] === null ? {} : { [column]: row[column] });

export const toReview = (row: Row): ReviewDocument =>
  ({
    review_id: row['review_id'],
    mission_id: row['mission_id'],
    rank: row['rank'],
    decisive_rule: row['decisive_rule'],
    flagged_at: row['flagged_at'],
    status: row['status'],
    ...present(row, 'verdict'),
    ...present(row, 'reviewed_by'),
    ...present(row, 'reviewed_at'),
    ...present(row, 'reason'),
  }) as ReviewDocument;
