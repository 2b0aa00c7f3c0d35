import { describe, expect, it } from '@jest/globals';
import type { RestorationEvent } from '@nexusmon/governance-contract';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { restoration, type RestorationCommand } from './restoration.js';

const { given, history } = specify(restoration);

const ada = 'operator:ada';
const time = '2026-01-01T12:00:00.000Z';
const stream = { stream: 0, formerly: 'aaaaaaaaaaaa', incarnation: 'bbbbbbbbbbbb', sequence: 40, lost_to: 57 };
const decided = {
  restoration_id: 'rst_0190b6c1-0000-7000-8000-000000000001',
  backup_id: 'bak_0190b6c1-0000-7000-8000-000000000002',
  taken_at: '2026-01-01T11:00:00.000Z',
  manifest: 'ab'.repeat(32),
  decided_at: time,
  streams: [stream],
  reason: 'the disk was lost',
  public_key: 'key',
  signature: 'signature',
} as const;
const record = (over: object = {}, actor = ada): RestorationCommand => ({
  ...{ type: 'RecordRestoration', actor, time },
  data: { ...decided, streams: [...decided.streams], ...over },
});
const restored = (over: object = {}): RestorationEvent => ({
  ...{ type: 'LogRestored', actor: ada, time },
  data: { ...decided, streams: [...decided.streams], restored_by: ada, ...over },
});

describe('a restoration', () => {
  it('is recorded with what was lost', () => given().when(record()).then(restored()));
  it('may not know what was lost', () => {
    const streams = [{ ...stream, lost_to: undefined }];
    given().when(record({ streams })).then(restored({ streams }));
  });
  it('may have lost nothing', () => {
    const streams = [{ ...stream, lost_to: stream.sequence }];
    given().when(record({ streams })).then(restored({ streams }));
  });
  it.each(['service:governance', 'token:tok_1', 'plugin:loud'])('is not decided by %s (L1)', (actor) =>
    given().when(record({}, actor)).thenRejected({ code: 'operator-required' }),
  );
  it.each(['signature', 'reason'])('is not decided without a %s (L1)', (field) =>
    given()
      .when(record({ [field]: '' }))
      .thenRejected({ code: 'signature-required' }),
  );
  it('is recorded once (L2)', () => given(restored()).when(record()).thenNothing());
  it.each([{ incarnation: stream.formerly }, { lost_to: 39 }])('of a stream that is %j is refused (L3)', (over) =>
    given()
      .when(record({ streams: [stream, { ...stream, ...over }] }))
      .thenRejected({ code: 'streams-not-new' }),
  );
  it('is at most one event, whatever is tried (L2)', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(record(), record({ reason: '' }), record({ reason: 'again' }), record({}, 'plugin:x')),
        ),
        (commands) => {
          expect(history(commands).length).toBeLessThanOrEqual(1);
        },
      ),
    ));
});
