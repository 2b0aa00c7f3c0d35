import { describe, expect, it } from '@jest/globals';
import { secondsAfter } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import { artifactDocument } from '@nexusmon/vault-contract';
import fc from 'fast-check';
import { afterwards, toDocument } from './artifact.document.js';
import { artifactSeries, RECENT_MAX, recordedAlready, type ArtifactCommand, type EventOf } from './artifact.js';
import { hasVersion } from './version-runs.js';

const { given, history, fold } = specify(artifactSeries);

const at = (seconds: number) => secondsAfter('2026-01-01T12:00:00.000Z', seconds);
const idOf = (number: number) => `art_0190b6c1-0000-7000-8000-${String(number).padStart(12, '0')}`;
const mission_id = 'msn_0190b6c1-0000-7000-8000-000000000001';
const data = {
  artifact_id: idOf(1),
  name: `${mission_id}/compose/report.md`,
  sha256: 'a'.repeat(64),
  size: 5,
  media_type: 'text/markdown',
  kind: 'output' as const,
  mission_id,
  task_id: 'compose',
  attempt: 1,
  worker: 'report.compose',
  inputs: [],
};
const { mission_id: _mission, task_id: _task, attempt: _attempt, worker: _worker, ...brought } = data;
type CommandOf<Type> = Extract<ArtifactCommand, { type: Type }>;
type Record = CommandOf<'RecordArtifact'>;
const record = (over: Partial<Record['data']> = {}): Record => ({
  type: 'RecordArtifact',
  actor: 'service:vault',
  time: at(1),
  data: { ...data, ...over },
});
const recorded = (version: number, over: Partial<Record['data']> = {}): EventOf<'ArtifactRecorded'> => ({
  type: 'ArtifactRecorded',
  actor: 'service:vault',
  time: at(1),
  data: { ...data, ...over, version },
});
type Upload = CommandOf<'RecordUpload'>;
const upload = (over: Partial<Upload['data']> = {}): Upload => ({
  ...{ type: 'RecordUpload', actor: 'operator:owner', time: at(1) },
  data: { ...brought, ...over },
});
const uploaded = (version: number, over: Partial<Upload['data']> = {}): EventOf<'ArtifactUploaded'> => ({
  ...{ type: 'ArtifactUploaded', actor: 'operator:owner', time: at(1) },
  data: { ...brought, ...over, version },
});
const about = (version: number, over: { name?: string } = {}) => ({
  ...{ artifact_id: idOf(version), name: data.name, version, sha256: data.sha256 },
  ...over,
});
const person = { actor: 'operator:owner', time: at(2) };
const remove = (version: number, over = {}): ArtifactCommand => ({
  ...{ type: 'DeleteArtifact', ...person, data: { ...about(version, over), reason: 'wrong' } },
});
const deleted = (version: number): EventOf<'ArtifactDeleted'> => ({
  ...{ type: 'ArtifactDeleted', ...person, data: { ...about(version), reason: 'wrong' } },
});
type Note = CommandOf<'NoteCheck'>['data'];
const note = (version: number, found: Pick<Note, 'result' | 'found_sha256' | 'found_size'>): ArtifactCommand => ({
  ...{ type: 'NoteCheck', ...person, data: { ...about(version), ...found } },
});
const damaged = (version: number, damage: 'lost' | 'changed', found = {}): EventOf<'ArtifactDamaged'> => ({
  ...{ type: 'ArtifactDamaged', ...person, data: { ...about(version), damage, ...found } },
});
const mended = (version: number): EventOf<'ArtifactMended'> => ({
  ...{ type: 'ArtifactMended', ...person, data: about(version) },
});
const other_bytes = { sha256: 'b'.repeat(64), artifact_id: idOf(2) };

describe('an artifact series', () => {
  it('begins with version 1 (V1)', () => given().when(record()).then(recorded(1)));
  it('goes on with the next version (V1)', () =>
    given(recorded(1)).when(record(other_bytes)).then(recorded(2, other_bytes)));
  it('adds nothing when a task records the same again, in a later attempt too (V2)', () => {
    given(recorded(1))
      .when(record({ artifact_id: idOf(9) }))
      .thenNothing();
    given(recorded(1))
      .when(record({ artifact_id: idOf(9), attempt: 2 }))
      .thenNothing();
    given(recorded(1), recorded(2, other_bytes)).when(record()).thenNothing();
  });
  it('says which version it was then (V2)', () => {
    const series = fold([recorded(1), recorded(2, other_bytes)]);
    expect(recordedAlready(series, data)).toMatchObject({ artifact_id: idOf(1), version: 1, recorded_at: at(1) });
    expect(recordedAlready(artifactSeries.initial, data)).toBeUndefined();
  });
  it('keeps apart what other tasks and missions record (V2)', () => {
    const by_task = { task_id: 'other', artifact_id: idOf(3) };
    given(recorded(1)).when(record(by_task)).then(recorded(2, by_task));
    const by_mission = { mission_id: 'msn_0190b6c1-0000-7000-8000-00000000000f', artifact_id: idOf(3) };
    given(recorded(1)).when(record(by_mission)).then(recorded(2, by_mission));
  });
  it('has one name (V3)', () => {
    given(recorded(1))
      .when(record({ ...other_bytes, name: 'another' }))
      .thenRejected({ code: 'another-series', name: data.name });
  });
  it('takes what is uploaded as the next version, of the same bytes too (V1, V7)', () => {
    given().when(upload()).then(uploaded(1));
    given(uploaded(1)).when(upload()).then(uploaded(2));
    given(recorded(1)).when(upload()).then(uploaded(2));
    given(recorded(1), uploaded(2)).when(record()).thenNothing();
    given(uploaded(1))
      .when(upload({ name: 'another' }))
      .thenRejected({ code: 'another-series', name: data.name });
  });
  it('is deleted and damaged as any other when it was uploaded (V5, V6)', () => {
    given(uploaded(1)).when(remove(1)).then(deleted(1));
    given(uploaded(1), deleted(1)).when(upload()).then(uploaded(2));
    given(uploaded(1))
      .when(note(1, { result: 'missing' }))
      .then(damaged(1, 'lost'));
  });
  it('deletes a version once, and goes on counting (V5)', () => {
    given(recorded(1)).when(remove(1)).then(deleted(1));
    given(recorded(1), deleted(1)).when(remove(1)).thenNothing();
    given(recorded(1), deleted(1)).when(record(other_bytes)).then(recorded(2, other_bytes));
  });
  it('records anew what was deleted (V2, V5)', () =>
    given(recorded(1), deleted(1))
      .when(record({ artifact_id: idOf(2) }))
      .then(recorded(2, { artifact_id: idOf(2) })));
  it('deletes and notes nothing that there is not', () => {
    given().when(remove(1)).thenRejected({ code: 'version-unknown', versions: 0 });
    given(recorded(1)).when(remove(2)).thenRejected({ code: 'version-unknown', versions: 1 });
    given(recorded(1))
      .when(note(2, { result: 'missing' }))
      .thenRejected({ code: 'version-unknown', versions: 1 });
    given(recorded(1))
      .when(remove(1, { name: 'another' }))
      .thenRejected({ code: 'another-series', name: data.name });
  });
  it('notes damage when it begins and when it ends (V6)', () => {
    const instead = { found_sha256: 'c'.repeat(64), found_size: 7 };
    given(recorded(1))
      .when(note(1, { result: 'match' }))
      .thenNothing();
    given(recorded(1))
      .when(note(1, { result: 'missing' }))
      .then(damaged(1, 'lost'));
    given(recorded(1))
      .when(note(1, { result: 'mismatch', ...instead }))
      .then(damaged(1, 'changed', instead));
    given(recorded(1), damaged(1, 'lost'))
      .when(note(1, { result: 'mismatch', ...instead }))
      .thenNothing();
    given(recorded(1), damaged(1, 'lost'))
      .when(note(1, { result: 'match' }))
      .then(mended(1));
    given(recorded(1), damaged(1, 'lost'), mended(1))
      .when(note(1, { result: 'missing' }))
      .then(damaged(1, 'lost'));
  });
  it('notes nothing of what is deleted (V5)', () => {
    given(recorded(1), deleted(1))
      .when(note(1, { result: 'missing' }))
      .thenNothing();
    given(recorded(1), damaged(1, 'lost'), deleted(1))
      .when(note(1, { result: 'match' }))
      .thenNothing();
  });
  it('shows in the document of a version what became of it', () => {
    const sound = toDocument(recorded(1));
    const lost = afterwards(sound, damaged(1, 'lost'));
    expect(artifactDocument.parse(lost)).toEqual({ ...sound, damage: 'lost', damaged_at: at(2) });
    expect(afterwards(lost, mended(1))).toEqual(sound);
    const gone = { deleted_at: at(2), deleted_by: 'operator:owner', deleted_reason: 'wrong' };
    expect(artifactDocument.parse(afterwards(lost, deleted(1)))).toEqual({ ...sound, ...gone });
  });
  it('has a document of its schema', () =>
    expect(artifactDocument.parse(toDocument(recorded(1)))).toMatchObject({
      version: 1,
      created_at: at(1),
      links: { content: `/v1/vault/artifacts/${idOf(1)}/content` },
    }));
  it('says who uploaded it, where nobody made it', () => {
    const document = artifactDocument.parse(toDocument(uploaded(1)));
    expect(document).toMatchObject({ uploaded_by: 'operator:owner', created_at: at(1) });
    expect(document.links).not.toHaveProperty('mission');
    expect(document).not.toHaveProperty('mission_id');
  });

  it('counts without a gap, and stays small, whatever is recorded (V1, V4)', () => {
    const anyRecord = fc
      .record({ letter: fc.constantFrom('a', 'b', 'c', 'd'), task: fc.nat(9), attempt: fc.integer({ min: 1, max: 3 }) })
      .map(({ letter, task, attempt }) => record({ sha256: letter.repeat(64), task_id: `t${task}`, attempt }));
    const anyUpload = fc.constantFrom('a', 'b').map((letter) => upload({ sha256: letter.repeat(64) }));
    fc.assert(
      fc.property(fc.array(fc.oneof(anyRecord, anyUpload), { maxLength: 60, size: 'max' }), (commands) => {
        const events = history(commands);
        expect(events.map((event) => event.data.version)).toEqual(events.map((_, index) => index + 1));
        const series = fold(events);
        if (series.status === 'absent') return;
        expect(series.version).toBe(events.length);
        const by_tasks = events.filter(({ type }) => type === 'ArtifactRecorded').length;
        expect(series.recent.length).toBe(Math.min(by_tasks, RECENT_MAX));
        const last = commands.at(-1);
        if (last?.type === 'RecordArtifact') expect(recordedAlready(series, last.data)).toBeDefined();
      }),
      { numRuns: 40 },
    );
  });

  it('knows what is deleted and what is damaged after any history (V2, V5, V6)', () => {
    const anyCommand = fc
      .record({
        verb: fc.constantFrom('record', 'delete', 'match', 'missing'),
        version: fc.integer({ min: 1, max: 8 }),
      })
      .map(({ verb, version }) => {
        if (verb === 'record') return record({ sha256: String(version).repeat(64), artifact_id: idOf(version) });
        return verb === 'delete' ? remove(version) : note(version, { result: verb });
      });
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 60, size: 'max' }), (commands) => {
        const events = history(commands);
        const series = fold(events);
        if (series.status === 'absent') return;
        const last = new Map<number, string>();
        for (const { type, data: of } of events) {
          // What is deleted stays so, and a mark is set and taken away in turn.
          expect(last.get(of.version)).not.toBe('ArtifactDeleted');
          if (type === 'ArtifactDamaged') expect(last.get(of.version)).not.toBe('ArtifactDamaged');
          if (type === 'ArtifactMended') expect(last.get(of.version)).toBe('ArtifactDamaged');
          last.set(of.version, type);
        }
        for (const [version, type] of last) {
          expect(hasVersion(series.deleted, version)).toBe(type === 'ArtifactDeleted');
          expect(hasVersion(series.damaged, version)).toBe(type === 'ArtifactDamaged');
        }
      }),
      { numRuns: 60 },
    );
  });
});
