// The shape of every rule in the product: a decision over a state, and the fold that makes the state.
//
//   K1. `decide` and `evolve` are pure: no clock, no randomness, no I/O. Who and when arrive in the command.
//   K2. A refusal is a value. Only broken invariants of our own throw.
//   K3. A command that has nothing left to do is accepted with no events.

/** A command or an event: what, by whom (`<kind>:<id>`), when (RFC 3339 UTC, milliseconds), and the particulars. */
export type Message = Readonly<{ type: string; actor: string; time: string; data: object }>;

/** Why a command was refused. `code` is stable and documented; other fields are facts for whoever asked. */
export type Rejection = Readonly<{ code: string }>;

export type Decision<Event extends Message, Refusal extends Rejection> =
  Readonly<{ kind: 'accepted'; events: readonly Event[] }> | Readonly<{ kind: 'rejected'; rejection: Refusal }>;

export type Decider<State, Command extends Message, Event extends Message, Refusal extends Rejection> = Readonly<{
  initial: State;
  decide: (command: Command, state: State) => Decision<Event, Refusal>;
  evolve: (state: State, event: Event) => State;
}>;

export const accept = <Event extends Message>(...events: readonly Event[]) => ({ kind: 'accepted', events }) as const;

export const nothing = { kind: 'accepted', events: [] } as const;

export const reject = <const Refusal extends Rejection>(rejection: Refusal) =>
  ({ kind: 'rejected', rejection }) as const;
