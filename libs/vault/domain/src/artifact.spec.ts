import { describe, expect, it } from '@jest/globals';
import { secondsAfter } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import { artifactDocument, type ArtifactEvent } from '@nexusmon/vault-contract';
import fc from 'fast-check';
import { artifactSeries, RECENT_MAX, recordedAlready, toDocument, type ArtifactCommand } from './artifact.js';

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
const record = (over: Partial<ArtifactCommand['data']> = {}): ArtifactCommand => ({
  type: 'RecordArtifact',
  actor: 'service:vault',
  time: at(1),
  data: { ...data, ...over },
});
const recorded = (version: number, over: Partial<ArtifactCommand['data']> = {}): ArtifactEvent => ({
  type: 'ArtifactRecorded',
  actor: 'service:vault',
  time: at(1),
  data: { ...data, ...over, version },
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
  it('has a document of its schema', () =>
    expect(artifactDocument.parse(toDocument(recorded(1)))).toMatchObject({
      version: 1,
      created_at: at(1),
      links: { content: `/v1/vault/artifacts/${idOf(1)}/content` },
    }));

  it('counts without a gap, and stays small, whatever is recorded (V1, V4)', () => {
    const anyRecord = fc
      .record({ letter: fc.constantFrom('a', 'b', 'c', 'd'), task: fc.nat(9), attempt: fc.integer({ min: 1, max: 3 }) })
      .map(({ letter, task, attempt }) => record({ sha256: letter.repeat(64), task_id: `t${task}`, attempt }));
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 60, size: 'max' }), (commands) => {
        const events = history(commands);
        expect(events.map((event) => event.data.version)).toEqual(events.map((_, index) => index + 1));
        const series = fold(events);
        if (series.status === 'absent') return;
        expect(series.version).toBe(events.length);
        expect(series.recent.length).toBe(Math.min(events.length, RECENT_MAX));
        const last = commands.at(-1);
        if (last) expect(recordedAlready(series, last.data)).toBeDefined();
      }),
      { numRuns: 40 },
    );
  });
});
