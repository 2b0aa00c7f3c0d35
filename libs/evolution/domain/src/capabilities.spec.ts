import { describe, expect, it } from '@jest/globals';
import {
  CAPABILITIES,
  progressDocument,
  STAGES,
  treeDocument,
  type Capability,
  type RulingDocument,
  type Stage,
} from '@nexusmon/evolution-contract';
import fc from 'fast-check';
import { progress, tree, type Totals } from './capabilities.js';

const totals = (over: Partial<Totals> = {}): Totals => ({ count: 0, xp_tenths: 0, verified_missions: 0, ...over });
const at = '2026-01-01T12:00:00.000Z';
const ruled = (capability: Capability, ruling: RulingDocument['ruling']) =>
  new Map([[capability, { ruling, by: 'operator:ada', at, reason: 'because' }]]);
const openAt = (count: number, rulings = new Map<Capability, RulingDocument>()) =>
  progress(totals({ count }), rulings)
    .capabilities.filter(({ open }) => open)
    .map(({ capability }) => capability);
const standingOf = (capability: Capability, over: Partial<Totals>, rulings = new Map<Capability, RulingDocument>()) =>
  progress(totals(over), rulings).capabilities.find((one) => one.capability === capability);

describe('capabilities', () => {
  const first = ['RECALL', 'COMPANION'];
  const second = [...first, 'WORKER_SPAWN', 'BELIEF_TRACK'];
  it.each<[number, Stage, readonly string[]]>([
    [0, 'DORMANT', []],
    [1, 'AWAKENING', first],
    [10, 'FORGING', second],
    [50, 'SOVEREIGN', CAPABILITIES],
    [200, 'APEX', CAPABILITIES],
  ])('at count %d, %s, are %j (C1)', (count, stage, open) => {
    expect(openAt(count)).toEqual(open);
    expect(progress(totals({ count }), new Map()).stage).toBe(stage);
  });
  it('are never opened by XP (C1)', () =>
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true }), (xp_tenths) => {
        const { stage, capabilities } = progress(totals({ xp_tenths }), new Map());
        expect([stage, capabilities.some(({ open }) => open)]).toEqual(['DORMANT', false]);
      }),
    ));
  it('are opened early by a grant, which says who and why (C2)', () => {
    expect(openAt(0, ruled('AUTONOMOUS_CHAIN', 'granted'))).toEqual(['AUTONOMOUS_CHAIN']);
    expect(standingOf('AUTONOMOUS_CHAIN', {}, ruled('AUTONOMOUS_CHAIN', 'granted'))).toMatchObject({
      level: 1,
      why: 'granted by operator:ada: because',
      ruling: { ruling: 'granted' },
    });
  });
  it('stay closed at any count once revoked (C2)', () =>
    expect(openAt(1_000, ruled('RECALL', 'revoked'))).toEqual(CAPABILITIES.filter((one) => one !== 'RECALL')));
  it('say what is missing while they are closed', () =>
    expect(standingOf('WORKER_SPAWN', { count: 2.5 })).toMatchObject({
      ...{ open: false, level: 0, opens_at: 'FORGING', why: 'FORGING opens it: the count is 2.5 of 10' },
    }));
  it.each([
    [-50, 1, 20],
    [0, 1, 20],
    [199, 1, 20],
    [200, 2, 80],
    [799, 2, 80],
    [800, 3, 320],
    [3_200, 4, undefined],
  ])('with %d tenths of XP are at level %d, the next at %p (C3)', (xp_tenths, level, next) => {
    const standing = standingOf('RECALL', { count: 1, xp_tenths });
    expect([standing?.level, standing?.next_level_at_xp]).toEqual([level, next]);
  });
  it('have no level while they are closed, whatever the XP (C3)', () =>
    expect(standingOf('RECALL', { xp_tenths: 1e6 })).toMatchObject({ level: 0 }));
});

describe('progress', () => {
  it('names the next stage and what is missing', () => {
    const document = progressDocument.parse(
      progress({ count: 1.5, xp_tenths: 36, verified_missions: 2 }, ruled('RECALL', 'granted')),
    );
    const { stage, count, xp, next_stage, next_stage_at, missing, verified_missions } = document;
    expect({ stage, count, xp, next_stage, next_stage_at, missing, verified_missions }).toEqual({
      ...{ stage: 'AWAKENING', count: 1.5, xp: 3.6, next_stage: 'FORGING', next_stage_at: 10, missing: 8.5 },
      verified_missions: 2,
    });
  });
  it('has no next when the stage is the last', () => {
    const document = progress(totals({ count: 200 }), new Map());
    expect(document).not.toHaveProperty('next_stage');
    expect(document).not.toHaveProperty('missing');
  });
});

describe('the tree', () => {
  it('has every stage and capability, and marks what is reached', () => {
    const document = treeDocument.parse(tree(totals({ count: 12 }), ruled('RECALL', 'revoked')));
    expect(document.stages.map(({ stage, reached }) => [stage, reached])).toEqual(
      STAGES.map((stage, index) => [stage, index <= 2]),
    );
    expect(document.stages.find(({ stage }) => stage === 'FORGING')).toMatchObject({
      ...{ at_count: 10, opens: ['WORKER_SPAWN', 'BELIEF_TRACK'] },
    });
    expect(document.capabilities.map(({ capability }) => capability)).toEqual(CAPABILITIES);
    expect(document.capabilities[0]).toMatchObject({ capability: 'RECALL', open: false });
    expect(document.capabilities[0]?.levels).toEqual([
      { level: 2, at_xp: 20 },
      { level: 3, at_xp: 80 },
      { level: 4, at_xp: 320 },
    ]);
  });
});
