import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import { artifactEvents, type ArtifactEvent } from './index.js';

type Examples = { [Name in ArtifactEvent['type']]: readonly Extract<ArtifactEvent, { type: Name }>['data'][] };

const version_2 = {
  artifact_id: 'art_733e212f-0f8c-87db-adb6-a38d7e7c00eb',
  name: 'handbook/rules.pdf',
  version: 2,
  sha256: '0d6e4079e36703ebd37c00722f5891d28b0e2811dc114b129215123adcce3605',
};

const mission_id = 'msn_01a1f930-8d95-7333-899f-86bbb72360f2';

const examples: Examples = {
  ArtifactRecorded: [
    {
      artifact_id: 'art_015ace68-6b6e-88a6-966d-1bd7697c8766',
      name: `${mission_id}/compose/report.md`,
      version: 1,
      sha256: 'f4f2734f44dd8607ac9136964e629085295a2d2d1fe21c56359cd4696ca194d3',
      size: 18_142,
      media_type: 'text/markdown; charset=utf-8',
      kind: 'output',
      mission_id,
      task_id: 'compose',
      attempt: 1,
      worker: 'report.compose',
      inputs: ['art_733e212f-0f8c-87db-adb6-a38d7e7c00eb'],
    },
  ],
  ArtifactUploaded: [
    {
      ...{ ...version_2, size: 5_368_709_120, media_type: 'application/pdf', kind: 'document' },
      inputs: ['art_015ace68-6b6e-88a6-966d-1bd7697c8766'],
    },
  ],
  ArtifactDeleted: [{ ...version_2, reason: 'It names a customer.' }],
  ArtifactDamaged: [
    { ...version_2, damage: 'lost' },
    { ...version_2, damage: 'changed', found_sha256: 'a'.repeat(64), found_size: 17 },
  ],
  ArtifactMended: [version_2],
};

describe('the recorded artifact events', () => {
  it('are read for ever, and change only by a new version', () => {
    expect(checkCorpus(artifactEvents, join(import.meta.dirname, '../corpus'), examples)).toEqual([]);
  });
});
