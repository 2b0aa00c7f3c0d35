// A mission's plan and its gate's decision, as its events tell them. Nothing is judged again here.

import type { ExplanationDocument, PlanDocument } from '@nexusmon/mission-contract';
import type { ExistingMission } from './mission.state.js';

/** The plans of a mission, the newest first. There is no way to plan again yet. */
export const plansOf = ({ plan, tasks, created_at }: ExistingMission): readonly PlanDocument[] => {
  const { plan_source, plan_digest, fingerprint, rank, effective_rank } = plan;
  return [
    {
      ...{ version: 1, plan_source, plan_digest, fingerprint, rank, effective_rank, planned_at: created_at },
      tasks: tasks.map((task) => task.plan),
    },
  ];
};

type Inputs = ExplanationDocument['inputs'];

const workersOf = ({ tasks }: ExistingMission): Inputs['workers'] => {
  const workers = new Map<string, Inputs['workers'][number]>();
  for (const { plan } of tasks) {
    const known = workers.get(plan.worker) ?? { name: plan.worker, risk_level: plan.risk_level, task_ids: [] };
    workers.set(plan.worker, { ...known, task_ids: [...known.task_ids, plan.task_id] });
  }
  return [...workers.values()];
};

const taskGatesOf = ({ tasks }: ExistingMission): ExplanationDocument['task_gates'] =>
  tasks.flatMap(({ plan, approval }) => (approval ? [{ task_id: plan.task_id, ...approval }] : []));

const approvalSentence = ({ approval }: ExistingMission): string => {
  switch (approval?.status) {
    case undefined:
      return '';
    case 'pending':
      return '; its approval is awaited';
    case 'granted':
      return `; ${approval.granted_by} granted its approval`;
    case 'refused':
      return `; its approval was ${approval.outcome}`;
  }
};

const summaryOf = (state: ExistingMission): string => {
  const { verdict } = state;
  if (!verdict) return 'the mission has not been judged';
  const decisive = verdict.rulings.find(({ rule }) => rule === verdict.decisive_rule);
  return `${verdict.decisive_rule} decided: ${verdict.outcome} (${decisive?.explanation ?? ''})${approvalSentence(state)}`;
};

export const explanationOf = (state: ExistingMission): ExplanationDocument => {
  const { request, plan, verdict, verdict_signature, approval } = state;
  const task_gates = taskGatesOf(state);
  const decision = () => {
    if (!verdict || verdict_signature === undefined) return {};
    const { outcome, decisive_rule, rulings, policy_version, halt_epoch, decided_at } = verdict;
    return {
      decision: {
        ...{ outcome, decisive_rule, rulings, policy_version, halt_epoch, decided_at },
        signature: verdict_signature,
      },
    };
  };
  return {
    mission_id: request.mission_id,
    status: state.status,
    summary: summaryOf(state),
    inputs: {
      ...(request.rank_asked ? { rank_asked: request.rank_asked } : {}),
      ...{ rank: plan.rank, effective_rank: plan.effective_rank, category: request.category },
      ...{ plan_digest: plan.plan_digest, workers: workersOf(state) },
    },
    ...decision(),
    task_gates,
    approval_ids: [...(approval ? [approval.approval_id] : []), ...task_gates.map((gate) => gate.approval_id)],
  };
};
