// Artifact series
//
// The versions of one named artifact. The aggregate is the name; what it records are facts about blobs that lie in the
// store already, verified.
//
//   V1. Versions count from 1 without a gap, and no version is ever recorded twice.
//   V2. Recording what a task has recorded already, in this or an earlier attempt, adds nothing while it is the same
//       bytes: a runner that lost the answer asks again.
//   V3. A series has one name.
//   V4. The state does not grow with the series: it knows the latest record of each of the last producers, no more.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { ArtifactDocument, ArtifactEvent } from '@nexusmon/vault-contract';

type Recorded = ArtifactEvent['data'];

export type ArtifactCommand = Readonly<{
  type: 'RecordArtifact';
  actor: string;
  time: string;
  /** `artifact_id` names the version that comes of it, if one does. */
  data: Readonly<Omit<Recorded, 'version'>>;
}>;

/**
 * How many records are remembered to recognise a repetition. Repetitions come from the task that is running now, within
 * minutes: the names of a mission's outputs hold its id, so that such a series is written by the attempts of one task.
 * Even a series of a fixed name that many missions write to at once would have to take this many records between an
 * attempt and its repetition before one were recorded a second time, as a new version of the same bytes.
 */
export const RECENT_MAX = 16;

export type ArtifactRecord = Readonly<
  Pick<Recorded, 'artifact_id' | 'version' | 'sha256' | 'mission_id' | 'task_id'> & { recorded_at: string }
>;
export type ArtifactSeries =
  | Readonly<{ status: 'absent' }>
  | Readonly<{ status: 'kept'; name: string; version: number; recent: readonly ArtifactRecord[] }>;

export type ArtifactRejection = Readonly<{ code: 'another-series'; name: string }>;

/** The record that recording this again would repeat (V2). */
export const recordedAlready = (
  state: ArtifactSeries,
  { sha256, mission_id, task_id }: Pick<Recorded, 'sha256' | 'mission_id' | 'task_id'>,
): ArtifactRecord | undefined =>
  state.status === 'absent'
    ? undefined
    : state.recent.find(
        (record) => record.sha256 === sha256 && record.mission_id === mission_id && record.task_id === task_id,
      );

const decide = (
  { actor, time, data }: ArtifactCommand,
  state: ArtifactSeries,
): Decision<ArtifactEvent, ArtifactRejection> => {
  if (state.status === 'kept' && state.name !== data.name) return reject({ code: 'another-series', name: state.name });
  if (recordedAlready(state, data)) return nothing;
  const version = state.status === 'absent' ? 1 : state.version + 1;
  return accept({ type: 'ArtifactRecorded', actor, time, data: { ...data, version } });
};

const evolve = (state: ArtifactSeries, { time, data }: ArtifactEvent): ArtifactSeries => {
  const { artifact_id, name, version, sha256, mission_id, task_id } = data;
  const record: ArtifactRecord = { artifact_id, version, sha256, mission_id, task_id, recorded_at: time };
  const before = state.status === 'absent' ? [] : state.recent;
  return { status: 'kept', name, version, recent: [record, ...before].slice(0, RECENT_MAX) };
};

export const artifactSeries: Decider<ArtifactSeries, ArtifactCommand, ArtifactEvent, ArtifactRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};

/** `mission` is named where one made it. */
const linksOf = ({ artifact_id, mission_id }: Recorded): ArtifactDocument['links'] => {
  const self = `/v1/vault/artifacts/${artifact_id}`;
  const mission = `/v1/engine/missions/${mission_id}`;
  return { self, content: `${self}/content`, versions: `${self}/versions`, lineage: `${self}/lineage`, mission };
};

export const toDocument = ({ time, data }: Pick<ArtifactEvent, 'time' | 'data'>): ArtifactDocument => ({
  ...data,
  created_at: time,
  links: linksOf(data),
});
