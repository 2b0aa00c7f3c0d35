// Progress, derived from completed missions.
//
//   E1. A mission is reckoned once: its row is the sign that it has been.
//   E2. Novelty goes by the order in which this projection reads completions: the log's order, with one stream.
//   E3. What counts nothing leaves no trace, neither in the totals nor in the novelty of others.

import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import { missionEvents, type MissionEvent } from '@nexusmon/mission-contract';
import { score } from '@nexusmon/evolution-domain';
import type { Projection, Store } from '@nexusmon/projections';

export const PROGRESS_PROJECTION = 'evolution.progress';
export const MISSION_VIEW = 'evolution.mission_view';
export const FINGERPRINT_VIEW = 'evolution.fingerprint_view';
export const TOTAL_VIEW = 'evolution.total_view';
/** The one row of the totals. */
export const ORGANISM = 'organism';

export const PROGRESS_DDL = `
create table ${MISSION_VIEW} (
  mission_id text primary key,
  fingerprint text not null,
  novelty double precision not null,
  xp double precision not null,
  completed_at text not null
);
create table ${FINGERPRINT_VIEW} (
  fingerprint text primary key,
  missions integer not null
);
create table ${TOTAL_VIEW} (
  name text primary key,
  count double precision not null,
  xp double precision not null,
  verified_missions integer not null
);`;

const numberOf = (value: unknown): number => (value === undefined ? 0 : Number(value));

const reckon = async (mission_id: string, event: RecordedEvent, store: Store): Promise<void> => {
  const { type, time, data } = messageOf(event) as MissionEvent;
  if (type !== 'MissionCompleted') return;
  const missions = store.table(MISSION_VIEW);
  if (await missions.get(mission_id)) return;
  const { fingerprint, verified, result, effective_rank, category } = data;
  const fingerprints = store.table(FINGERPRINT_VIEW);
  const earlier = numberOf((await fingerprints.get(fingerprint))?.['missions']);
  const { fulfilled } = result;
  const { counts, novelty, xp } = score({ verified, fulfilled, effective_rank, category, earlier });
  if (!counts) return;
  const totals = store.table(TOTAL_VIEW);
  const total = await totals.get(ORGANISM);
  missions.put({ mission_id, fingerprint, novelty, xp, completed_at: time });
  fingerprints.put({ fingerprint, missions: earlier + 1 });
  totals.put({
    name: ORGANISM,
    count: numberOf(total?.['count']) + novelty,
    xp: numberOf(total?.['xp']) + xp,
    verified_missions: numberOf(total?.['verified_missions']) + 1,
  });
};

export const progressProjection: Projection = {
  name: PROGRESS_PROJECTION,
  context: 'evolution',
  reads: [{ context: 'mission', name: 'mission', events: missionEvents }],
  events: ['MissionCompleted'],
  tables: [
    { name: MISSION_VIEW, key: ['mission_id'] },
    { name: FINGERPRINT_VIEW, key: ['fingerprint'] },
    { name: TOTAL_VIEW, key: ['name'] },
  ],
  on: async (commits, store) => {
    for (const { commit, events } of commits) for (const event of events) await reckon(commit.id, event, store);
  },
};
