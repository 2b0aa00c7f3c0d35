// Gate
//
// Whether a mission may run. Pure: the same facts under the same policy give the same verdict for ever.
//
//   G1. Every rule has its say; the strictest decides, and the first of equally strict ones is named as decisive.
//   G2. What a rule does not know (a rank, an outcome, a number that is none) is blocked, never let through.
//   G3. At A and S the gate never says less than `needs_approval`, whatever the policy says.

import type { GateOutcome, JudgeRequest, Verdict } from '@nexusmon/governance-contract';
import { isHighRank, rankPolicyOf, type Policy } from './policy.js';

export type Ruling = Verdict['claims']['rulings'][number];
export type Judgement = Pick<Verdict['claims'], 'outcome' | 'decisive_rule' | 'rulings'>;
type Rule = (facts: JudgeRequest, policy: Policy) => Ruling;

/** Least strict first. */
const STRICTNESS: readonly GateOutcome[] = ['execute', 'execute_and_flag', 'needs_approval', 'blocked'];

const rankRule: Rule = ({ effective_rank }, policy) => {
  const row = rankPolicyOf(policy, effective_rank);
  if (!row) return { rule: 'rank', outcome: 'blocked', explanation: `the policy does not know rank ${effective_rank}` };
  const outcome = isHighRank(effective_rank) ? stricter(row.outcome, 'needs_approval') : row.outcome;
  return { rule: 'rank', outcome, explanation: `${policy.name}: effective rank ${effective_rank}` };
};

/** The effective rank comes with the request. A plan that is riskier than it claims is not judged by its claim. */
const honestRankRule: Rule = ({ rank, effective_rank, workers }, policy) => {
  const order = Object.keys(policy.ranks);
  const level = (asked: string) => order.indexOf(asked);
  const understated = workers.filter(({ risk_level }) => !(level(risk_level) <= level(effective_rank)));
  const unknown = workers.some(({ risk_level }) => level(risk_level) < 0) || level(rank) < 0;
  if (unknown) return { rule: 'honest_rank', outcome: 'blocked', explanation: 'a rank that the policy does not know' };
  const names = [
    ...understated.map(({ name, risk_level }) => `${name} is ${risk_level}`),
    ...(level(rank) > level(effective_rank) ? [`${rank} was asked for`] : []),
  ];
  return names.length > 0
    ? {
        rule: 'honest_rank',
        outcome: 'blocked',
        explanation: `effective rank ${effective_rank}, but ${names.join(', ')}`,
      }
    : { rule: 'honest_rank', outcome: 'execute', explanation: 'no worker is riskier than the effective rank' };
};

export const GATE_RULES: readonly Rule[] = [rankRule, honestRankRule];

/** An outcome that is none counts as `blocked` (G2). */
const known = (outcome: GateOutcome): GateOutcome => (STRICTNESS.includes(outcome) ? outcome : 'blocked');

const isStricter = (one: GateOutcome, other: GateOutcome) =>
  STRICTNESS.indexOf(known(one)) > STRICTNESS.indexOf(known(other));

const stricter = (one: GateOutcome, other: GateOutcome): GateOutcome => known(isStricter(other, one) ? other : one);

export const judge = (facts: JudgeRequest, policy: Policy, rules: readonly Rule[] = GATE_RULES): Judgement => {
  const rulings = rules.map((rule) => rule(facts, policy)).map((said) => ({ ...said, outcome: known(said.outcome) }));
  const [first, ...others] = rulings;
  if (!first) return { outcome: 'blocked', decisive_rule: 'none', rulings: [] };
  const decisive = others.reduce(
    (strictest, said) => (isStricter(said.outcome, strictest.outcome) ? said : strictest),
    first,
  );
  return { outcome: decisive.outcome, decisive_rule: decisive.rule, rulings };
};
