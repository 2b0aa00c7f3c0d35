// Whether what clients saw at the same time can have happened one after the other (Wing and Gong, with Lowe's memory).
//
//   W1. An operation takes effect once, at some moment between its call and its return.
//   W2. One whose outcome nobody knows may take effect at any moment after its call, or never.
//   W3. The model is data: which answer an operation may have in which state, and where it leads. What moves by itself
//       may have moved before every operation.
//   W4. Where several states are possible, all of them are followed: as the bits of one number.

export type Rule = Readonly<{ from: string; op: string; answer: string; to: string }>;

export type Model = Readonly<{
  states: readonly string[];
  rules: readonly Rule[];
  /** What may happen without anybody's asking. */
  moves: readonly (readonly [from: string, to: string])[];
}>;

/** Without an answer nobody knows what came of it; `returned` counts only with one. */
export type Operation = Readonly<{ op: string; called: number; returned: number; answer: string | null }>;
export type History = Readonly<{ id: string; initial: string; operations: readonly Operation[] }>;

/** More states than bits that JavaScript's operators keep. */
const STATES_MAX = 31;

type Step = (states: number, operation: Operation) => number;

/** Every state that is possible after an operation with its answer; 0 where there is none. */
const stepsOf = ({ states, rules, moves }: Model): Step & { begin: (initial: string) => number } => {
  if (states.length > STATES_MAX) throw new Error(`a model has at most ${STATES_MAX} states`);
  const bit = (state: string): number => {
    const index = states.indexOf(state);
    if (index < 0) throw new Error(`the model has no state ${state}`);
    return 1 << index;
  };
  const moved = (some: number): number => {
    const more = moves.reduce((all, [from, to]) => ((all & bit(from)) === 0 ? all : all | bit(to)), some);
    return more === some ? some : moved(more);
  };
  const byQuestion = new Map<string, { from: number; to: number }[]>();
  for (const { from, op, answer, to } of rules)
    for (const question of [`${op} ${answer}`, `${op} ?`])
      byQuestion.set(question, [...(byQuestion.get(question) ?? []), { from: bit(from), to: bit(to) }]);
  const known = new Map<string, number>();
  const step = (some: number, { op, answer }: Operation): number => {
    const question = `${op} ${answer ?? '?'}`;
    const key = `${some} ${question}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const led = (byQuestion.get(question) ?? []).reduce((all, { from, to }) => (some & from ? all | to : all), 0);
    const after = moved(led);
    known.set(key, after);
    return after;
  };
  return Object.assign(step, { begin: (initial: string) => moved(bit(initial)) });
};

/** Where a history stands: which operations have taken effect, and in which states that may have left it. */
type Place = Readonly<{ done: bigint; states: number }>;

const nextPlaces = ({ done, states }: Place, operations: readonly Operation[], step: Step): Place[] => {
  const left = operations.flatMap((operation, index) => ((done >> BigInt(index)) & 1n ? [] : [{ operation, index }]));
  const first_return = Math.min(
    ...left.map(({ operation }) => (operation.answer === null ? Infinity : operation.returned)),
  );
  // Of those that nobody knows of, which ask for the same, any of them stands for all.
  const open = new Set<string>();
  return left.flatMap(({ operation, index }) => {
    if (operation.called > first_return) return [];
    if (operation.answer === null) {
      if (open.has(operation.op)) return [];
      open.add(operation.op);
    }
    const after = step(states, operation);
    return after === 0 ? [] : [{ done: done | (1n << BigInt(index)), states: after }];
  });
};

const isLinearizable = ({ initial, operations }: History, step: ReturnType<typeof stepsOf>): boolean => {
  const ordered = operations.toSorted((one, other) => one.called - other.called);
  const answered = ordered.reduce(
    (all, { answer }, index) => (answer === null ? all : all | (1n << BigInt(index))),
    0n,
  );
  const seen = new Set<string>();
  const places: Place[] = [{ done: 0n, states: step.begin(initial) }];
  for (let place = places.pop(); place; place = places.pop()) {
    if ((place.done & answered) === answered) return true;
    const key = `${place.done.toString(36)} ${place.states}`;
    if (seen.has(key)) continue;
    seen.add(key);
    places.push(...nextPlaces(place, ordered, step));
  }
  return false;
};

/** The histories that no order explains. */
export const illegalAmong = (model: Model, histories: readonly History[]): History[] => {
  const step = stepsOf(model);
  return histories.filter((history) => !isLinearizable(history, step));
};
