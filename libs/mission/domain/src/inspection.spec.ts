import { describe, expect, it } from '@jest/globals';
import { explanationDocument, planDocument, type MissionEvent } from '@nexusmon/mission-contract';
import { specify } from '@nexusmon/testing';
import { explanationOf, plansOf } from './inspection.js';
import { mission } from './mission.js';
import {
  approval_id,
  at,
  chain,
  created,
  fingerprint,
  grant,
  high,
  past,
  plan_digest,
  refuse,
  settled,
} from './mission.scenes.js';
import { exists } from './mission.state.js';

const { fold } = specify(mission);
const stateOf = (events: readonly MissionEvent[]) => {
  const state = fold(events);
  if (!exists(state)) throw new Error('no mission');
  return state;
};
const explained = (events: readonly MissionEvent[]) => explanationDocument.parse(explanationOf(stateOf(events)));

describe('the plan of a mission', () => {
  it('is what was planned, whatever has become of it', () => {
    const [first, ...others] = plansOf(stateOf(past.completed()));
    expect(others).toEqual([]);
    expect(planDocument.parse(first)).toMatchObject({
      ...{ version: 1, plan_source: 'request', plan_digest, fingerprint, planned_at: at(0), tasks: chain },
    });
  });
});

describe('the explanation of a mission', () => {
  it('holds the decision as it was made, with its signature', () =>
    expect(explained(created(high)).decision).toEqual({
      ...{ outcome: 'needs_approval', decisive_rule: 'rank', rulings: [], policy_version: 1, halt_epoch: 0 },
      ...{ decided_at: at(0), signature: 'signed' },
    }));
  it('holds what went into it: ranks, category, and each worker with its tasks', () =>
    expect(explained(created(high)).inputs).toEqual({
      ...{ rank: 'A', effective_rank: 'A', category: 'forge', plan_digest },
      workers: [{ name: 'system.echo', risk_level: 'E', task_ids: ['one', 'two', 'check'] }],
    }));
  it.each([
    ['its approval is awaited', created(high)],
    ['granted its approval', settled(high, grant())],
    ['its approval was denied', settled(high, refuse('denied'))],
  ])('says that %s', (words, events) => {
    const { summary, approval_ids } = explained(events);
    expect(summary).toContain(words);
    expect(approval_ids).toEqual([approval_id]);
  });
  it('says so where nothing has been decided', () => {
    const ungated = created().filter(({ type }) => type === 'MissionCreated' || type === 'MissionPlanned');
    const { decision, summary, approval_ids } = explained(ungated);
    expect([decision, summary, approval_ids]).toEqual([undefined, 'the mission has not been judged', []]);
  });
});
