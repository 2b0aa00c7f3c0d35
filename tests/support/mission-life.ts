// The life of a mission as its operators are promised it: which verb is answered how, and where it leads. Written from
// the product's words (domain: ranks, states, `run`, approvals; surface: 409 names the present state, a repeated create
// names the same mission), and from none of its code.

import type { Model, Rule } from './linearizability.js';

/** What is created: rank A waits for an approval, a held mission for `run`. */
export const KINDS = ['plain', 'held', 'high', 'high_held'] as const;
export type Kind = (typeof KINDS)[number];

export const bodyOf = (kind: Kind, goal: string) => ({
  goal,
  rank: kind.startsWith('high') ? 'A' : 'E',
  hold: kind.endsWith('held'),
  tags: [goal],
  plan: { tasks: [{ task_id: 'one', worker: 'system.echo', input: { value: goal } }] },
});

/** In this order; nothing leads back. */
const WORKING = ['queued', 'running', 'verifying', 'completed'] as const;

/** Two ways to be cancelled beside the plain one: by a denial, and after having been approved. */
const CANCELLED = ['cancelled', 'denied', 'stopped'];

const LIVES: Readonly<Record<Kind, readonly string[]>> = {
  plain: [...WORKING, 'cancelled'],
  held: ['accepted', ...WORKING, 'cancelled'],
  high: ['awaiting_approval', ...WORKING, ...CANCELLED],
  high_held: ['awaiting_approval', 'accepted', ...WORKING, ...CANCELLED],
};

/** As a document shows it. */
const shown = (state: string): string => (CANCELLED.includes(state) ? 'cancelled' : state);

/** Of a mission at rank A. */
const isApproved = (state: string): boolean => ['accepted', ...WORKING, 'stopped'].includes(state);

/** What an operation may say in one state, and where that leads. */
type Said = readonly (readonly [answer: string, to: string])[];

const stays = (state: string, ...answers: readonly string[]): Said => answers.map((answer) => [answer, state]);
const refused = (state: string): Said => stays(state, `409 ${shown(state)}`);

/** A ruling that has been made, and has not moved the mission yet, stops the other one. */
const SETTLED = '409 settled';

const saidTo = (op: string, kind: Kind, state: string): Said => {
  const high = kind.startsWith('high');
  switch (op) {
    case 'read':
      return stays(state, shown(state));
    case 'create':
      return stays(state, '201');
    case 'run':
      if (state === 'awaiting_approval') return stays(state, '403');
      return state === 'accepted' ? [['200', 'queued']] : stays(state, '200');
    case 'run_with_key':
      if (state === 'awaiting_approval') return [['200', 'queued'], ...stays(state, SETTLED)];
      return state === 'accepted' ? [['200', 'queued']] : stays(state, '200');
    case 'approve':
      if (state === 'awaiting_approval')
        return [['200', kind === 'high_held' ? 'accepted' : 'queued'], ...stays(state, SETTLED)];
      // What has been ruled is ruled, and saying so again changes nothing; the same of a denial.
      return high && isApproved(state) ? stays(state, '200') : refused(state);
    case 'deny':
      if (state === 'awaiting_approval') return [['200', 'denied'], ...stays(state, SETTLED)];
      return state === 'denied' ? stays(state, '200') : refused(state);
    case 'cancel':
      if (state === 'completed') return refused(state);
      if (CANCELLED.includes(state)) return stays(state, '200');
      return [['200', high && isApproved(state) ? 'stopped' : 'cancelled']];
    default:
      throw new Error(`no such operation: ${op}`);
  }
};

export const VERBS = ['run', 'run_with_key', 'approve', 'deny', 'cancel'] as const;
const OPERATIONS = ['read', 'create', ...VERBS];

/** One model for each kind: where a mission begins differs, and what may be said to it. */
export const lifeOf = (kind: Kind): Model => {
  const lived = LIVES[kind];
  const born: Rule = { from: 'absent', op: 'create', answer: '201', to: lived[0] ?? '' };
  const rules = lived.flatMap((from) =>
    OPERATIONS.flatMap((op) => saidTo(op, kind, from).map(([answer, to]) => ({ from, op, answer, to }))),
  );
  const moves = WORKING.slice(1).map((to, index) => [WORKING[index] ?? '', to] as const);
  return { states: ['absent', ...lived], rules: [born, ...rules], moves };
};
