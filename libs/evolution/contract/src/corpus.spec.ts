import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCorpus } from '@nexusmon/event-log';
import { grantEvents, stageEvents, type GrantEvent, type StageEvent } from './index.js';

type Recorded = GrantEvent | StageEvent;
type Examples = { [Name in Recorded['type']]: readonly Extract<Recorded, { type: Name }>['data'][] };

const reckoning = {
  xp: 21.6,
  verified_missions: 11,
  revision: 12,
  mission_id: 'msn_01a1f930-9303-7216-bbe4-f2d135a5cba8',
  position: '0.5f0c2a9be1d3.412.0',
};

const examples: Examples = {
  StageChanged: [
    { from: 'AWAKENING', to: 'FORGING', count: 10, ...reckoning },
    { from: 'FORGING', to: 'AWAKENING', count: 9.5, ...reckoning, xp: -3.6, revision: 13 },
  ],
  CapabilityGranted: [{ capability: 'RECALL', granted_by: 'operator:owner', reason: 'The archive is clean' }],
  CapabilityRevoked: [{ capability: 'RECALL', revoked_by: 'operator:owner', reason: 'It quoted a stale report' }],
};

describe('the recorded events of evolution', () => {
  it('are read for ever, and change only by a new version', () => {
    const catalogue = { ...stageEvents, ...grantEvents };
    expect(checkCorpus(catalogue, join(import.meta.dirname, '../corpus'), examples)).toEqual([]);
  });
});
