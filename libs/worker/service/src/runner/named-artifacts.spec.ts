import { describe, expect, it } from '@jest/globals';
import { namedArtifacts } from './named-artifacts.js';

const mission_id = 'msn_0190b6c1-0000-7000-8000-000000000001';
const idOf = (number: number) => `art_0190b6c1-0000-7000-8000-${String(number).padStart(12, '0')}`;
const ref = (number: number, of = mission_id) => ({
  ...{ artifact_id: idOf(number), name: `${of}/survey/${number}.json`, sha256: 'a'.repeat(64) },
  ...{ size: 3, media_type: 'application/json' },
});

describe('the artifacts that an input names', () => {
  it('are found at any depth, once each, in their order', () => {
    const input = {
      survey: { manifest: ref(1), files: [{ more: ref(2) }, ref(3)] },
      again: ref(1),
      text: 'x',
      no: null,
    };
    expect(namedArtifacts(input, mission_id)).toEqual([idOf(1), idOf(2), idOf(3)]);
  });

  it('are of its own mission', () => {
    const other = 'msn_0190b6c1-0000-7000-8000-000000000002';
    expect(namedArtifacts([ref(1, other), ref(2, `${mission_id}0`)], mission_id)).toEqual([]);
  });

  it('are whole references, not just something with an id', () => {
    const { sha256: _, ...without } = ref(1);
    expect(
      namedArtifacts([without, { artifact_id: idOf(2) }, { artifact_id: { deeper: ref(3) } }], mission_id),
    ).toEqual([idOf(3)]);
  });

  it('are a thousand at most', () => {
    const many = Array.from({ length: 1_200 }, (_, index) => ref(index));
    expect(namedArtifacts(many, mission_id)).toHaveLength(1_000);
  });
});
