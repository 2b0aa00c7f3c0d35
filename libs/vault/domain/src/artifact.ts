// Artifact series
//
// The versions of one named artifact. The aggregate is the name; what it records are facts about blobs that lie in the
// store already, verified.
//
//   V1. Versions count from 1 without a gap, and no version is ever recorded twice.
//   V2. Recording what a task has recorded already, in this or an earlier attempt, adds nothing while it is the same
//       bytes: a runner that lost the answer asks again. What was deleted meanwhile is recorded anew.
//   V3. A series has one name.
//   V4. The state does not grow with the series: it knows the latest record of each of the last producers, and which
//       versions are deleted or damaged as runs of them.
//   V5. A version is deleted once, for good. It still counts, and nothing is noted of it afterwards.
//   V6. Damage is noted when it begins and when it ends, however often it is looked at.
//   V7. What is uploaded is the next version, of whatever bytes: whether it is the same upload again, its command says.

import { accept, nothing, reject, type Decider, type Decision } from '@nexusmon/kernel';
import type { ArtifactEvent, CheckDocument } from '@nexusmon/vault-contract';
import { hasVersion, withoutVersion, withVersion, type VersionRuns } from './version-runs.js';

export type EventOf<Type extends ArtifactEvent['type']> = Extract<ArtifactEvent, { type: Type }>;
type DataOf<Type extends ArtifactEvent['type']> = EventOf<Type>['data'];
type Recorded = DataOf<'ArtifactRecorded'>;
type Uploaded = DataOf<'ArtifactUploaded'>;
type Stamp = Readonly<{ actor: string; time: string }>;

/** `artifact_id` names the version that comes of it, if one does. */
type RecordArtifact = Stamp & Readonly<{ type: 'RecordArtifact'; data: Readonly<Omit<Recorded, 'version'>> }>;
type RecordUpload = Stamp & Readonly<{ type: 'RecordUpload'; data: Readonly<Omit<Uploaded, 'version'>> }>;
type DeleteArtifact = Stamp & Readonly<{ type: 'DeleteArtifact'; data: Readonly<DataOf<'ArtifactDeleted'>> }>;
/** The stored bytes of a version have been looked at. */
type NoteCheck = Stamp &
  Readonly<{
    type: 'NoteCheck';
    data: Readonly<
      DataOf<'ArtifactMended'> &
        Pick<CheckDocument, 'found_sha256' | 'found_size'> & { result: CheckDocument['result'] }
    >;
  }>;
export type ArtifactCommand = RecordArtifact | RecordUpload | DeleteArtifact | NoteCheck;

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
type KeptSeries = Readonly<{
  status: 'kept';
  name: string;
  version: number;
  recent: readonly ArtifactRecord[];
  deleted: VersionRuns;
  damaged: VersionRuns;
}>;
export type ArtifactSeries = Readonly<{ status: 'absent' }> | KeptSeries;

export type ArtifactRejection =
  Readonly<{ code: 'another-series'; name: string }> | Readonly<{ code: 'version-unknown'; versions: number }>;

type Decided = Decision<ArtifactEvent, ArtifactRejection>;

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

const nextOf = (state: ArtifactSeries): number => (state.status === 'absent' ? 1 : state.version + 1);

const record = ({ actor, time, data }: RecordArtifact, state: ArtifactSeries): Decided => {
  if (recordedAlready(state, data)) return nothing;
  return accept({ type: 'ArtifactRecorded', actor, time, data: { ...data, version: nextOf(state) } });
};

const noteCheck = ({ actor, time, data }: NoteCheck, { damaged }: KeptSeries): Decided => {
  const { artifact_id, name, version, sha256, result, ...found } = data;
  const about = { artifact_id, name, version, sha256 };
  const known = hasVersion(damaged, version);
  if (result === 'match') return known ? accept({ type: 'ArtifactMended', actor, time, data: about }) : nothing;
  if (known) return nothing;
  const damage = result === 'missing' ? 'lost' : 'changed';
  return accept({ type: 'ArtifactDamaged', actor, time, data: { ...about, damage, ...found } });
};

const decide = (command: ArtifactCommand, state: ArtifactSeries): Decided => {
  const { type, actor, time, data } = command;
  if (state.status === 'kept' && state.name !== data.name) return reject({ code: 'another-series', name: state.name });
  if (type === 'RecordArtifact') return record(command, state);
  if (type === 'RecordUpload')
    return accept({ type: 'ArtifactUploaded', actor, time, data: { ...data, version: nextOf(state) } });
  const versions = state.status === 'absent' ? 0 : state.version;
  if (state.status === 'absent' || data.version > versions) return reject({ code: 'version-unknown', versions });
  if (hasVersion(state.deleted, data.version)) return nothing;
  if (type === 'NoteCheck') return noteCheck(command, state);
  return accept({ type: 'ArtifactDeleted', actor, time, data });
};

/** The series with its newest version. */
const grown = (state: ArtifactSeries, { name, version }: Uploaded): KeptSeries =>
  state.status === 'absent'
    ? { status: 'kept', name, version, recent: [], deleted: [], damaged: [] }
    : { ...state, version };

const recorded = (state: ArtifactSeries, { time, data }: EventOf<'ArtifactRecorded'>): KeptSeries => {
  const { artifact_id, version, sha256, mission_id, task_id } = data;
  const latest: ArtifactRecord = { artifact_id, version, sha256, mission_id, task_id, recorded_at: time };
  const series = grown(state, data);
  return { ...series, recent: [latest, ...series.recent].slice(0, RECENT_MAX) };
};

const evolve = (state: ArtifactSeries, event: ArtifactEvent): ArtifactSeries => {
  if (event.type === 'ArtifactRecorded') return recorded(state, event);
  if (event.type === 'ArtifactUploaded') return grown(state, event.data);
  // Nothing else happens to a series before its first record.
  if (state.status === 'absent') return state;
  const { artifact_id, version } = event.data;
  switch (event.type) {
    case 'ArtifactDeleted':
      return {
        ...state,
        recent: state.recent.filter((known) => known.artifact_id !== artifact_id),
        deleted: withVersion(state.deleted, version),
        damaged: withoutVersion(state.damaged, version),
      };
    case 'ArtifactDamaged':
      return { ...state, damaged: withVersion(state.damaged, version) };
    case 'ArtifactMended':
      return { ...state, damaged: withoutVersion(state.damaged, version) };
  }
};

export const artifactSeries: Decider<ArtifactSeries, ArtifactCommand, ArtifactEvent, ArtifactRejection> = {
  initial: { status: 'absent' },
  decide,
  evolve,
};
