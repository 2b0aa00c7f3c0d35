import { describe, expect, it } from '@jest/globals';
import { gate_outcome, type GateOutcome, type JudgeRequest } from '@nexusmon/governance-contract';
import type { Rank } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { judge } from './gate.js';
import { FIRST_POLICY, rankPolicyOf, type Policy } from './policy.js';

const facts = (over: Partial<JudgeRequest> = {}): JudgeRequest => ({
  mission_id: 'msn_0190b6c1-0000-7000-8000-000000000002',
  plan_digest: 'a'.repeat(64),
  rank: 'E',
  effective_rank: over.effective_rank ?? 'E',
  category: 'forge',
  workers: [],
  ...over,
});
const policyWith = (rank: Rank, outcome: GateOutcome): Policy => ({
  ...FIRST_POLICY,
  ranks: { ...FIRST_POLICY.ranks, [rank]: { ...FIRST_POLICY.ranks[rank], outcome } },
});

describe('the gate', () => {
  it.each<[Rank, GateOutcome]>([
    ['E', 'execute'],
    ['D', 'execute'],
    ['C', 'execute_and_flag'],
    ['B', 'execute_and_flag'],
    ['A', 'needs_approval'],
    ['S', 'needs_approval'],
  ])('says of rank %s: %s', (effective_rank, outcome) =>
    expect(judge(facts({ effective_rank }), FIRST_POLICY)).toMatchObject({ outcome, decisive_rule: 'rank' }),
  );

  it('blocks a rank that it does not know (G2)', () => {
    const unknown = 'Z' as Rank;
    expect(judge(facts({ effective_rank: unknown }), FIRST_POLICY).outcome).toBe('blocked');
    expect(judge(facts({ rank: unknown }), FIRST_POLICY).outcome).toBe('blocked');
    expect(judge(facts({ workers: [{ name: 'w', risk_level: unknown }] }), FIRST_POLICY).outcome).toBe('blocked');
    expect(judge(facts({ effective_rank: 'constructor' as Rank }), FIRST_POLICY).outcome).toBe('blocked');
  });
  it('blocks a plan that is riskier than it claims', () => {
    const understated = facts({ workers: [{ name: 'risky', risk_level: 'A' }] });
    expect(judge(understated, FIRST_POLICY)).toMatchObject({ outcome: 'blocked', decisive_rule: 'honest_rank' });
    expect(judge(facts({ rank: 'B' }), FIRST_POLICY)).toMatchObject({
      outcome: 'blocked',
      decisive_rule: 'honest_rank',
    });
    expect(
      judge(facts({ effective_rank: 'A', workers: [{ name: 'risky', risk_level: 'A' }] }), FIRST_POLICY).outcome,
    ).toBe('needs_approval');
  });
  it.each<Rank>(['A', 'S'])('opens %s for no policy (G3)', (effective_rank) => {
    expect(judge(facts({ effective_rank }), policyWith(effective_rank, 'execute')).outcome).toBe('needs_approval');
    expect(judge(facts({ effective_rank }), policyWith(effective_rank, 'blocked')).outcome).toBe('blocked');
  });
  it('follows the policy elsewhere', () =>
    expect(judge(facts(), policyWith('E', 'needs_approval')).outcome).toBe('needs_approval'));

  const anyOutcome = fc.constantFrom(...gate_outcome.options);
  it('is as strict as its strictest rule, and names the first of those (G1)', () =>
    fc.assert(
      fc.property(fc.array(anyOutcome, { minLength: 1, maxLength: 6 }), (outcomes) => {
        const rules = outcomes.map((outcome, index) => () => ({ rule: `rule-${index}`, outcome, explanation: '' }));
        const order = gate_outcome.options;
        const strictest = Math.max(...outcomes.map((outcome) => order.indexOf(outcome)));
        const first = outcomes.findIndex((outcome) => order.indexOf(outcome) === strictest);
        expect(judge(facts(), FIRST_POLICY, rules)).toMatchObject({
          outcome: order[strictest],
          decisive_rule: `rule-${first}`,
        });
      }),
    ));
  it('keeps what every rule said (G1)', () =>
    expect(judge(facts(), FIRST_POLICY).rulings.map(({ rule }) => rule)).toEqual(['rank', 'honest_rank']));
  it('blocks on an outcome that is none, and without any rule (G2)', () => {
    const nonsense = () => ({ rule: 'odd', outcome: 'maybe' as GateOutcome, explanation: '' });
    expect(judge(facts(), FIRST_POLICY, [nonsense])).toMatchObject({
      outcome: 'blocked',
      rulings: [{ outcome: 'blocked' }],
    });
    expect(judge(facts(), FIRST_POLICY, [])).toMatchObject({ outcome: 'blocked' });
  });
});

describe('the first policy', () => {
  const HOUR = 3_600;
  it.each([
    ['E', 72 * HOUR, 0],
    ['D', 72 * HOUR, 0],
    ['C', 72 * HOUR, 0],
    ['B', 72 * HOUR, 0],
    ['A', 24 * HOUR, 0],
    ['S', 4 * HOUR, 10],
  ])('lets an approval at %s wait %d s, and rest %d s', (rank, approval_expires_seconds, cooling_off_seconds) =>
    expect(rankPolicyOf(FIRST_POLICY, rank)).toMatchObject({ approval_expires_seconds, cooling_off_seconds }),
  );
});
