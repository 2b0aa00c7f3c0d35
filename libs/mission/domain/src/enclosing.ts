// Enclosing: what of a mission is too large for its events lies in one sealed blob, named by its digest.
//
//   N1. All or nothing: either the events hold the parameters and every input, or the enclosure does.
//   N2. What rules need to know of an input stays with its task: no decision opens an enclosure.
//   N3. A mission that was opened is like one that was never enclosed.

import type { EnclosedContent, PlannedTask } from '@nexusmon/mission-contract';
import { refersToOutputs } from './input.js';
import type { EventData, ExistingMission } from './mission.state.js';

/** A task as the events hold it. */
export type KeptTask = EventData<'MissionPlanned'>['tasks'][number];

/** The task without its input (N2). */
export const enclosed = ({ input, ...task }: PlannedTask): KeptTask => ({
  ...task,
  enclosed: { derived: refersToOutputs(input) },
});

/** Whether the input will hold bytes that nobody has seen when the plan is approved. */
export const isDerived = ({ input, enclosed: outside }: KeptTask): boolean =>
  outside ? outside.derived : refersToOutputs(input ?? null);

/** Whether N1 holds for what a mission is created with. */
export const isWhole = (
  { params, enclosure }: EventData<'MissionCreated'>,
  { tasks }: Pick<EventData<'MissionPlanned'>, 'tasks'>,
): boolean => {
  const outside = enclosure !== undefined;
  return (
    (params === undefined) === outside &&
    tasks.every((task) => (task.input === undefined) === outside && (task.enclosed !== undefined) === outside)
  );
};

/** The mission with what its enclosure holds in its places (N3); undefined when that belongs to another plan. */
export const opened = (state: ExistingMission, { params, inputs }: EnclosedContent): ExistingMission | undefined => {
  if (inputs.length !== state.tasks.length) return undefined;
  const tasks = state.tasks.map((task, index) => ({ ...task, plan: { ...task.plan, input: inputs[index] ?? null } }));
  return { ...state, request: { ...state.request, params }, tasks };
};
