// Progress, derived from missions that ended and from their reviews.
//
//   E1. A mission is reckoned once: its row is the sign that it has been. So is a review.
//   E2. Novelty goes by the order in which this projection reads completions: the log's order, with one stream.
//   E3. What counts nothing has a row that says why, and leaves no trace in the totals or the novelty of others.
//   E4. Every change of the totals is a reckoning with a number; where the stage is another after it, the reckoning is
//       kept, for the stage to be changed by.

import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import type { AccountReason, Share } from '@nexusmon/evolution-domain';
import { score, shareOf, stageAt } from '@nexusmon/evolution-domain';
import { reviewEvents, type ReviewEvent, type ReviewVerdict } from '@nexusmon/governance-contract';
import { missionEvents, type MissionEvent } from '@nexusmon/mission-contract';
import {
  orderOf,
  type FeedCommit,
  type OpenCommit,
  type Projection,
  type Row,
  type Store,
} from '@nexusmon/projections';

export const PROGRESS_PROJECTION = 'evolution.progress';
export const ACCOUNT_VIEW = 'evolution.account_view';
export const FINGERPRINT_VIEW = 'evolution.fingerprint_view';
export const VERDICT_VIEW = 'evolution.verdict_view';
export const TOTAL_VIEW = 'evolution.total_view';
export const RECKONING_VIEW = 'evolution.reckoning_view';
/** The one row of the totals. */
export const ORGANISM = 'organism';

export const PROGRESS_DDL = `
create table ${ACCOUNT_VIEW} (
  mission_id text primary key,
  ended_position bigint not null,
  ended_at text not null,
  reason text not null,
  counts text not null,
  nth integer not null,
  novelty double precision not null,
  xp_tenths double precision not null,
  verdict text,
  effective_rank text,
  category text
);
create index on ${ACCOUNT_VIEW} (ended_position);
create index on ${ACCOUNT_VIEW} (counts, ended_position);
create table ${FINGERPRINT_VIEW} (
  fingerprint text primary key,
  missions integer not null
);
create table ${VERDICT_VIEW} (
  mission_id text primary key,
  verdict text not null
);
create table ${TOTAL_VIEW} (
  name text primary key,
  count double precision not null,
  xp_tenths double precision not null,
  verified_missions integer not null,
  revision integer not null
);
create table ${RECKONING_VIEW} (
  revision integer primary key,
  event_id text not null,
  mission_id text not null,
  position text not null,
  count double precision not null,
  xp_tenths double precision not null,
  verified_missions integer not null
);`;

const TABLES = [
  { name: ACCOUNT_VIEW, key: ['mission_id'] },
  { name: FINGERPRINT_VIEW, key: ['fingerprint'] },
  { name: VERDICT_VIEW, key: ['mission_id'] },
  { name: TOTAL_VIEW, key: ['name'] },
  { name: RECKONING_VIEW, key: ['revision'] },
] as const satisfies Projection['tables'];

/** An event, and where it stands. */
type Told<Message> = Readonly<{ message: Message; event: RecordedEvent; commit: FeedCommit }>;
type Completed = Extract<MissionEvent, { type: 'MissionCompleted' }>;
type Ended = Extract<MissionEvent, { type: 'MissionFailed' | 'MissionCancelled' }>;

const numberOf = (row: Row | undefined, column: string): number => Number(row?.[column] ?? 0);

const addToTotals = async (mission_id: string, share: Share, told: Told<unknown>, store: Store): Promise<void> => {
  const totals = store.table(TOTAL_VIEW);
  const before = await totals.get(ORGANISM);
  const sums = {
    count: numberOf(before, 'count') + share.count,
    xp_tenths: numberOf(before, 'xp_tenths') + share.xp_tenths,
    verified_missions: numberOf(before, 'verified_missions') + share.missions,
    revision: numberOf(before, 'revision') + 1,
  };
  totals.put({ name: ORGANISM, ...sums });
  if (stageAt(sums.count) === stageAt(numberOf(before, 'count'))) return;
  const { event, commit } = told;
  const cause = { event_id: event.id, mission_id, position: commit.position(event.index) };
  store.table(RECKONING_VIEW).put({ ...sums, ...cause });
};

const less = (after: Share, before: Share): Share => ({
  count: after.count - before.count,
  xp_tenths: after.xp_tenths - before.xp_tenths,
  missions: after.missions - before.missions,
});

const verdictOf = (row: Row | undefined) => row?.['verdict'] as ReviewVerdict | undefined;

const ended = ({ event, commit }: Told<unknown>) => ({ ended_position: orderOf(commit), ended_at: event.time });

const complete = async (mission_id: string, told: Told<Completed>, store: Store): Promise<void> => {
  const { fingerprint, verified, result, effective_rank, category } = told.message.data;
  const fingerprints = store.table(FINGERPRINT_VIEW);
  const earlier = numberOf(await fingerprints.get(fingerprint), 'missions');
  const verdict = verdictOf(await store.table(VERDICT_VIEW).get(mission_id));
  const earned = score({ verified, fulfilled: result.fulfilled, effective_rank, category, earlier });
  const { counts, novelty, xp_tenths } = earned;
  const share = shareOf(earned, verdict);
  const uncounted: AccountReason = result.fulfilled ? 'unverified' : 'brief';
  const counted: AccountReason = earlier > 0 ? 'repeated' : 'first_of_its_kind';
  store.table(ACCOUNT_VIEW).put({
    ...{ mission_id, ...ended(told), effective_rank, category, novelty, xp_tenths, verdict: verdict ?? null },
    reason: counts ? (verdict === 'not_fine' ? 'taken_back' : counted) : uncounted,
    counts: share.missions > 0 ? 'yes' : 'no',
    nth: counts ? earlier + 1 : 0,
  });
  if (!counts) return;
  fingerprints.put({ fingerprint, missions: earlier + 1 });
  await addToTotals(mission_id, share, told, store);
};

const endOtherwise = (mission_id: string, told: Told<Ended>, store: Store): void => {
  const nothing = { counts: 'no', nth: 0, novelty: 0, xp_tenths: 0, verdict: null };
  store.table(ACCOUNT_VIEW).put({
    ...{ mission_id, ...ended(told), ...nothing, effective_rank: null, category: null },
    reason: told.message.type === 'MissionFailed' ? 'failed' : 'cancelled',
  });
};

const takeReview = async (told: Told<ReviewEvent>, store: Store): Promise<void> => {
  const { mission_id, verdict } = told.message.data;
  const verdicts = store.table(VERDICT_VIEW);
  if (await verdicts.get(mission_id)) return;
  verdicts.put({ mission_id, verdict });
  const accounts = store.table(ACCOUNT_VIEW);
  const account = await accounts.get(mission_id);
  if (!account) return; // It is reckoned with its verdict once it ends.
  const counts = numberOf(account, 'nth') > 0;
  const earned = { counts, novelty: numberOf(account, 'novelty'), xp_tenths: numberOf(account, 'xp_tenths') };
  const change = less(shareOf(earned, verdict), shareOf(earned, undefined));
  const taken = counts && verdict === 'not_fine' ? { reason: 'taken_back', counts: 'no' } : {};
  accounts.put({ ...account, verdict, ...taken });
  if (change.xp_tenths !== 0 || change.count !== 0) await addToTotals(mission_id, change, told, store);
};

const reckon = async (event: RecordedEvent, commit: FeedCommit, store: Store): Promise<void> => {
  const message = messageOf(event) as MissionEvent | ReviewEvent;
  if (message.type === 'ReviewGiven') return takeReview({ message, event, commit }, store);
  if (await store.table(ACCOUNT_VIEW).get(commit.id)) return;
  if (message.type === 'MissionCompleted') return complete(commit.id, { message, event, commit }, store);
  if (message.type === 'MissionFailed' || message.type === 'MissionCancelled')
    endOtherwise(commit.id, { message, event, commit }, store);
};

const textsOf = (events: readonly RecordedEvent[], field: string): [string][] =>
  events.flatMap(({ data }) => (typeof data[field] === 'string' ? [[data[field]]] : []));

/** What a batch asks for is read at once: a query for each mission would take most of the time. */
const loadAll = async (commits: readonly OpenCommit[], store: Store): Promise<void> => {
  const events = commits.flatMap((commit) => commit.events);
  const missions = [...commits.map(({ commit }) => [commit.id] as const), ...textsOf(events, 'mission_id')];
  await store.table(ACCOUNT_VIEW).load(missions);
  await store.table(VERDICT_VIEW).load(missions);
  await store.table(FINGERPRINT_VIEW).load(textsOf(events, 'fingerprint'));
};

export const progressProjection: Projection = {
  name: PROGRESS_PROJECTION,
  context: 'evolution',
  reads: [
    { context: 'mission', name: 'mission', events: missionEvents },
    { context: 'governance', name: 'review', events: reviewEvents },
  ],
  events: ['MissionCompleted', 'MissionFailed', 'MissionCancelled', 'ReviewGiven'],
  tables: TABLES,
  on: async (commits, store) => {
    await loadAll(commits, store);
    for (const { commit, events } of commits) for (const event of events) await reckon(event, commit, store);
  },
};
