// A decider, as its specs see it: given what happened, when a command arrives, then these events, this refusal, or
// nothing.
//
//   D1. Every decision is asked for twice, on frozen values: a rule that is not pure (K1) fails here, not in a replay.
//   D2. Every state passes through JSON, because that is how the log carries it.

import { expect } from '@jest/globals';
import type { Decider, Message, Rejection } from '@nexusmon/kernel';

const freeze = <Value>(value: Value): Value => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
};

const throughJson = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

export const specify = <State, Command extends Message, Event extends Message, Refusal extends Rejection>(
  decider: Decider<State, Command, Event, Refusal>,
) => {
  const evolve = (state: State, event: Event): State => {
    const evolved = freeze(decider.evolve(freeze(state), freeze(event)));
    expect(throughJson(evolved)).toStrictEqual(evolved);
    return throughJson(evolved);
  };

  const fold = (events: readonly Event[]): State => events.reduce(evolve, decider.initial);

  const decide = (command: Command, state: State) => {
    const decision = freeze(decider.decide(freeze(command), freeze(state)));
    expect(decider.decide(command, state)).toStrictEqual(decision);
    return decision;
  };

  return {
    given: (...history: readonly Event[]) => ({
      state: () => fold(history),
      when: (command: Command) => {
        const decision = decide(command, fold(history));
        return {
          then: (...events: readonly Event[]) => expect(decision).toStrictEqual({ kind: 'accepted', events }),
          thenNothing: () => expect(decision).toStrictEqual({ kind: 'accepted', events: [] }),
          thenRejected: (rejection: Refusal) => expect(decision).toStrictEqual({ kind: 'rejected', rejection }),
        };
      },
    }),

    fold,

    /** The events that stand when every command is tried in turn; for properties over any order of commands. */
    history: (commands: readonly Command[]): readonly Event[] => {
      const events: Event[] = [];
      let state = decider.initial;
      for (const command of commands) {
        const decision = decide(command, state);
        if (decision.kind === 'rejected') continue;
        events.push(...decision.events);
        state = decision.events.reduce(evolve, state);
      }
      return events;
    },
  };
};
