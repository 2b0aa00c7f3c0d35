// Figures of missions. Counted from what the view takes in, so that every end counts, whoever decided it, and counts
// once per process. Tasks are counted by the runner that ran them.

import { counted, type Projection, type Row } from '@nexusmon/projections';
import { counter, gauge, histogram } from '@nexusmon/telemetry';
import { MISSION_VIEW } from './mission/mission.projection.js';

const MS_PER_SECOND = 1_000;

const created = counter('nexusmon_missions_created', { says: 'Missions, by category and effective rank.' });
const ended = counter('nexusmon_missions_completed', { says: 'Missions that ended, by outcome.' });
const missionSeconds = histogram('nexusmon_mission_duration_seconds', { says: 'Missions, from creation to end.' });
const retries = counter('nexusmon_task_retries', { says: 'Attempts that another one follows, by reason.' });

const OUTCOMES: Readonly<Record<string, string>> = {
  MissionCompleted: 'completed',
  MissionFailed: 'failed',
  MissionCancelled: 'cancelled',
};

type Told = Readonly<{ name: string; time: string; data: Readonly<Record<string, unknown>> }>;

const countEvent = ({ name, time, data }: Told, row: Row | undefined): void => {
  if (name === 'MissionPlanned')
    created({ category: String(row?.['category']), rank: String(row?.['effective_rank']) });
  else if (name === 'TaskFailed' && data['retry_at'] !== undefined) retries({ reason: String(data['code']) });
  else if (name === 'TaskReleased') retries({ reason: String(data['why']) });
  const outcome = OUTCOMES[name];
  if (outcome === undefined) return;
  ended({ outcome });
  missionSeconds((Date.parse(time) - Date.parse(String(row?.['created_at']))) / MS_PER_SECOND, { outcome });
};

/** The missions' projection, with its figures counted. */
export const withFigures = (missions: Projection): Projection =>
  counted(missions, async (commits, store) => {
    for (const { commit, events } of commits) {
      const row = await store.table(MISSION_VIEW).get(commit.id);
      for (const event of events) countEvent(event, row);
    }
  });

export type DispatchFigures = Readonly<{
  queued_tasks: number;
  running_tasks: number;
  runners: number;
  /** Slots of runners that wait for work. */
  free_slots: number;
}>;

/** Returns what ends them. */
export const gaugeDispatch = (read: () => DispatchFigures): (() => void) => {
  const ends = [
    gauge('nexusmon_tasks_queued', { says: 'Tasks that could start now.' }, () => read().queued_tasks),
    gauge('nexusmon_tasks_running', { says: 'Attempts under way.' }, () => read().running_tasks),
    gauge('nexusmon_runners', { says: 'Runners that ask for work.' }, () => read().runners),
  ];
  return () => ends.forEach((end) => end());
};
