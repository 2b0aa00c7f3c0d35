import type { ReviewDocument } from '@nexusmon/governance-contract';
import { missionEvents } from '@nexusmon/mission-contract';
import { orderOf, type Projection, type Row } from '@nexusmon/projections';
import type { Verdict } from '@nexusmon/governance-contract';

export const REVIEW_VIEW = 'governance.review_view';

/** Missions that ran flagged: what somebody should look at. */
export const reviewProjection: Projection = {
  name: 'governance.review',
  context: 'governance',
  reads: [{ context: 'mission', name: 'mission', events: missionEvents }],
  events: ['MissionGated'],
  tables: [{ name: REVIEW_VIEW, key: ['mission_id'] }],
  on: (commits, store) => {
    for (const { commit, events } of commits)
      for (const { name, data, time } of events) {
        if (name !== 'MissionGated') continue;
        const { claims } = data['verdict'] as Verdict;
        if (claims.outcome !== 'execute_and_flag') continue;
        store.table(REVIEW_VIEW).put({
          mission_id: claims.mission_id,
          rank: claims.effective_rank,
          decisive_rule: claims.decisive_rule,
          flagged_at: time,
          flagged_position: orderOf(commit),
        });
      }
  },
};

export const toReview = (row: Row): ReviewDocument => ({
  review_id: `rev_${String(row['mission_id']).slice('msn_'.length)}`,
  mission_id: String(row['mission_id']),
  rank: row['rank'] as ReviewDocument['rank'],
  decisive_rule: String(row['decisive_rule']),
  status: 'open',
  flagged_at: String(row['flagged_at']),
});
