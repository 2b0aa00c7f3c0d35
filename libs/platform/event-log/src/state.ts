// Carried state
//
// A commit may carry the aggregate's state after it, so that a load reads a few commits instead of all. The header
// `Nexusmon-State` says which: `self` when this commit carries it; otherwise the sequence of the last commit that does
// (`-` when none did), then those of the commits since, without this one; `walk` when that list would be too long.
//
//   T1. Carried state is a cache. It is used only if it was folded by the same code (`state_version`), and a load that
//       cannot use it folds every commit instead.
//   T2. State rides again when the commits since the last time weigh as much as it does (small state: four times as
//       much), and as the sixteenth of them (small state: the eighth) at the latest. So small state, which nearly all
//       is, adds little to what is written and is loaded from at most eight commits; large state at most doubles what
//       is written, and a load reads at most twice the state, or sixteen commits. They are read at once.
//   T3. The size of a state is known once it has been written out; until then it is taken for small.

import type { KeyObject } from 'node:crypto';
import { openText, sealText } from './sealing.js';
import { SeenCommands, type SeenJson } from './seen-commands.js';

const SMALL_BYTES = 8 * 1024;
/** Together with the largest commit, its headers and base64 this stays below the server's limit of 1 MiB a message. */
const CARRIED_BYTES_MAX = 512 * 1024;
const SMALL_SINCE_MAX = 8;
const LARGE_SINCE_MAX = 16;
/** How much the commits since may weigh for each byte of small state. */
const SMALL_WEIGHT = 4;
/** More sequences than this are not kept in a header: state that large is no longer carried at all. */
const LISTED_MAX = 256;

/** An aggregate as of its last commit. The state is never changed in place. */
export type Held<State> = Readonly<{
  state: State;
  /** How many commits made it. */
  revision: number;
  /** Sequence of its last commit; 0 before the first. */
  sequence: number;
  /** Index of the last event in that commit. */
  index: number;
  /** Hash of that commit; empty before the first. */
  hash: string;
  /** Time of its last event; empty before the first. */
  time: string;
  seen: SeenCommands;
  key_id: string | undefined;
  since: Since;
}>;

/** What a load would have to read besides the last commit's carrier. */
export type Since = Readonly<{
  carrier: number | undefined;
  /** Undefined when they are too many to list. */
  sequences: readonly number[] | undefined;
  bytes: number;
  /** Size of the state when it was last written out. */
  state_bytes: number;
}>;

export const nothingSince: Since = { carrier: undefined, sequences: [], bytes: 0, state_bytes: 0 };

export const untouched = <State>(state: State): Held<State> => ({
  state,
  revision: 0,
  sequence: 0,
  index: 0,
  hash: '',
  time: '',
  seen: SeenCommands.none,
  key_id: undefined,
  since: nothingSince,
});

type CarriedJson = Readonly<{ version: number; revision: number; seen: SeenJson; state: unknown }>;
export type Carried<State> = Readonly<{ revision: number; seen: SeenCommands; state: State }>;
export type OpenedState<State> = Carried<State> & Readonly<{ state_bytes: number }>;

/** What the seal of a carried state is bound to: this state stands in this commit of this aggregate only. */
const contextOf = (subject: string, hash: string) => `${subject}\n${hash}`;

export type Key = Readonly<{ key_id: string; secret: KeyObject }>;

export type Carriage = Readonly<{
  header: string;
  /** Line 2, where the state rides. */
  line: string | undefined;
  since: (sequence: number) => Since;
}>;

type Riding = Readonly<{
  subject: string;
  hash: string;
  line_bytes: number;
  version: number;
  /** Undefined where the aggregate has none. 'destroyed': the state may hold nothing that could be sealed again. */
  key: Key | 'destroyed' | undefined;
}>;

/** Whether and how the state after a commit rides in it (T2). `before` is as of the commit before. */
export const carry = <State>(before: Since, after: Carried<State>, riding: Riding): Carriage => {
  const since_bytes = before.bytes + riding.line_bytes;
  const count = before.sequences?.length ?? LISTED_MAX;
  const due = (bytes: number) => isDue(bytes, since_bytes, count);
  // Writing state out only to learn its size is what this avoids: its last known size decides first.
  const text =
    due(before.state_bytes || Math.min(since_bytes, SMALL_BYTES)) && riding.key !== 'destroyed'
      ? stateText(after, riding.version)
      : undefined;
  const state_bytes = text === undefined ? before.state_bytes : Buffer.byteLength(text);
  const rides = state_bytes <= CARRIED_BYTES_MAX && due(state_bytes);
  if (text !== undefined && rides) {
    const line = riding.key && riding.key !== 'destroyed' ? sealedLine(text, riding.key, riding) : text;
    return { header: 'self', line, since: (sequence) => ({ carrier: sequence, sequences: [], bytes: 0, state_bytes }) };
  }
  const { carrier, sequences } = before;
  return {
    header: sequences ? [carrier ?? '-', ...sequences].join(',') : 'walk',
    line: undefined,
    since: (sequence) => ({
      carrier,
      sequences: sequences && sequences.length < LISTED_MAX ? [...sequences, sequence] : undefined,
      bytes: since_bytes,
      state_bytes,
    }),
  };
};

const isDue = (state_bytes: number, since_bytes: number, count: number): boolean => {
  const small = state_bytes <= SMALL_BYTES;
  const since_max = small ? SMALL_SINCE_MAX : LARGE_SINCE_MAX;
  return since_bytes >= state_bytes * (small ? SMALL_WEIGHT : 1) || count >= since_max - 1;
};

const stateText = <State>({ state, revision, seen }: Carried<State>, version: number): string => {
  const carried: CarriedJson = { version, revision, seen: seen.toJson(), state };
  return JSON.stringify(carried);
};

const sealedLine = (text: string, { key_id, secret }: Key, { subject, hash }: Riding): string =>
  JSON.stringify({ $sealed: sealText(text, key_id, secret, contextOf(subject, hash)) });

/** Undefined when the state cannot be used (T1): other code folded it, or its key has been destroyed. */
export const openCarried = <State>(
  line: string,
  { subject, hash, version, secret }: { subject: string; hash: string; version: number; secret: KeyObject | undefined },
): OpenedState<State> | undefined => {
  const outer = JSON.parse(line) as CarriedJson | { $sealed: string };
  if ('$sealed' in outer && !secret) return undefined;
  const text = '$sealed' in outer && secret ? openText(outer.$sealed, secret, contextOf(subject, hash)) : line;
  const carried = JSON.parse(text) as CarriedJson;
  if (carried.version !== version) return undefined;
  const { revision, seen, state } = carried;
  return { revision, seen: SeenCommands.fromJson(seen), state: state as State, state_bytes: Buffer.byteLength(text) };
};

/** The commits that a load reads before the last one; undefined when it has to walk them all. */
export const readBefore = (
  header: string,
): { carrier: number | undefined; sequences: readonly number[] } | undefined => {
  if (!/^(-|[0-9]+)(,[0-9]+)*$/.test(header)) return undefined;
  const [carrier = '-', ...sequences] = header.split(',');
  return { carrier: carrier === '-' ? undefined : Number(carrier), sequences: sequences.map(Number) };
};
