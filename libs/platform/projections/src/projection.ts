// Projection: what is derived from the log and can be thrown away. `ProjectionRunner` runs it.
//
//   P1. Rows hold only what events say: no clock, no serials, nothing random. Two runs over the same log give the same
//       rows, and `digestTable` says so.

import { isDeepStrictEqual } from 'node:util';
import { messageOf, type Aggregate, type RecordedEvent } from '@nexusmon/event-log';
import type { Message, Rejection } from '@nexusmon/kernel';
import type { Row } from './database.js';
import type { FeedCommit, Readable } from './feed-commit.js';
import { Slices } from './own-turn.js';
import type { Store, TableDefinition } from './store.js';

/** A commit with its events opened. */
export type OpenCommit = Readonly<{ commit: FeedCommit; events: readonly RecordedEvent[] }>;

export type Projection = Readonly<{
  /** `<context>.<noun>`: what its checkpoint is called. */
  name: string;
  /** Whose schema and role it uses. */
  context: string;
  reads: readonly Readable[];
  /** Names of the events it wants; all of what it reads unless given. Others are not even opened. */
  events?: readonly string[];
  tables: readonly TableDefinition[];
  /** Folds a batch. Called again with the same commits when what it wrote did not stand. */
  on: (commits: readonly OpenCommit[], store: Store) => Promise<void> | void;
  /** The same without what it tells of beside its rows. */
  plain?: Projection;
}>;

const STREAMS_MAX = 64;

/** Orders by place in the log, over all streams, and never changes: what lists are sorted by. */
export const orderOf = (commit: FeedCommit): number => commit.sequence * STREAMS_MAX + commit.stream.number;

/** What the log says of an aggregate beside its state. */
export type AggregateMeta = Readonly<{
  id: string;
  /** Text for `Nexusmon-Position` and the like: where the last event stands. */
  position: string;
  created_at: string;
  /** Time of the last event. */
  updated_at: string;
  correlation_id: string;
  /** Its first event, where the row is new: what a column keeps of it comes from the row afterwards. */
  born: RecordedEvent | undefined;
  /** Its last event. Nothing else of a batch is told: where batches end is chance, and rows may not show it (P1). */
  last: RecordedEvent;
}>;

/** A row beside that of the state, under the same id: narrow where many are looked through. */
export type BesideView<State> = Readonly<{
  table: string;
  /** Of the state and of what never changes, so that a row is written only when it becomes another. */
  columns: (state: State, fixed: Pick<AggregateMeta, 'id' | 'created_at'>) => Row;
}>;

export type AggregateView<State, Command extends Message, Event extends Message, Refusal extends Rejection> = Readonly<{
  name: string;
  context: string;
  aggregate: Aggregate<State, Command, Event, Refusal>;
  /** With its schema. Made by `aggregateViewDdl`. */
  table: string;
  id_column: string;
  /** The columns that are searched and sorted by. `before` is the row as it was, undefined for a new one. */
  columns: (state: State, meta: AggregateMeta, before: Row | undefined) => Row;
  /** Each has the column of the id, as its key, and `created_position`. */
  beside?: readonly BesideView<State>[];
  cached_max?: number;
}>;

/**
 * A table with the aggregate's folded state and the columns it is found by. `created_position` is what lists are sorted
 * by, `position` tells versions apart, `position_text` is what callers are given.
 */
export const aggregateViewDdl = (
  table: string,
  id_column: string,
  columns: Readonly<Record<string, string>>,
): string => `
create table ${table} (
  ${id_column} text primary key,
  state jsonb not null,
  created_position bigint not null,
  position bigint not null,
  position_text text not null,
  created_at text not null,
  updated_at text not null${Object.entries(columns)
    .map(([column, type]) => `,\n  ${column} ${type}`)
    .join('')}
);
create index on ${table} (created_position);`;

const textOf = (value: unknown): string => {
  if (typeof value !== 'string') throw new TypeError('a view has an instant that is no text');
  return value;
};

/** An aggregate's first commit names none before it: there cannot be a row of it yet, and none is asked for. */
const hasEarlier = ({ commit }: OpenCommit): boolean => commit.previous !== '';

type Folded<State> = { row: Row | undefined; state: State; last: OpenCommit; first: OpenCommit };

type AnyView<State> = Pick<AggregateView<State, Message, Message, Rejection>, 'id_column' | 'columns' | 'beside'>;

const rowOf = <State>(view: AnyView<State>, id: string, { row, state, first, last }: Folded<State>): Row => {
  const [began, ended] = [first.events[0], last.events.at(-1)];
  if (!began || !ended) throw new RangeError(`a commit of ${id} has no events`);
  const { correlationid: correlation_id, time: updated_at } = ended;
  const created_at = row ? textOf(row['created_at']) : began.time;
  const position_text = last.commit.position();
  const born = row ? undefined : began;
  const meta = { id, position: position_text, created_at, updated_at, correlation_id, born, last: ended };
  return {
    [view.id_column]: id,
    state,
    created_position: Number(row?.['created_position'] ?? orderOf(first.commit)),
    position: orderOf(last.commit),
    position_text,
    created_at,
    updated_at,
    ...view.columns(state, meta, row),
  };
};

/** Rows beside are written, never read: the state says what they were. */
const putBeside = <State>(view: AnyView<State>, store: Store, row: Row, before: Row | undefined): void => {
  const fixed = { id: textOf(row[view.id_column]), created_at: textOf(row['created_at']) };
  for (const { table, columns } of view.beside ?? []) {
    const made = columns(row['state'] as State, fixed);
    if (before && isDeepStrictEqual(columns(before['state'] as State, fixed), made)) continue;
    store.table(table).put({ [view.id_column]: fixed.id, created_position: row['created_position'], ...made });
  }
};

/** Folds each aggregate with its own decider. */
export const aggregateProjection = <State, Command extends Message, Event extends Message, Refusal extends Rejection>(
  view: AggregateView<State, Command, Event, Refusal>,
): Projection => {
  const { name, context, aggregate, table, id_column, beside = [], cached_max } = view;
  const { initial, evolve } = aggregate.decider;
  return {
    name,
    context,
    reads: [aggregate],
    tables: [
      { name: table, key: [id_column], ...(cached_max === undefined ? {} : { cached_max }) },
      ...beside.map((one) => ({ name: one.table, key: [id_column] as const, cached_max: 1 })),
    ],
    on: async (commits, store) => {
      const rows = store.table(table);
      const own = commits.filter(
        ({ commit }) => commit.context === aggregate.context && commit.aggregate === aggregate.name,
      );
      const born = new Set(own.flatMap((each) => (hasEarlier(each) ? [] : [each.commit.id])));
      await rows.load(own.flatMap(({ commit: { id } }) => (born.has(id) ? [] : [[id]])));
      const folded = new Map<string, Folded<State>>();
      const slices = new Slices();
      for (const each of own) {
        await slices.next();
        const { id } = each.commit;
        const known = folded.get(id);
        const row = known ? known.row : hasEarlier(each) ? await rows.get(id) : undefined;
        const before = known ? known.state : ((row?.['state'] as State | undefined) ?? initial);
        // The catalogue that opened these events is the one that the decider was written for.
        const state = each.events.reduce((sum, event) => evolve(sum, messageOf(event) as Event), before);
        folded.set(id, { row, state, first: known?.first ?? each, last: each });
      }
      for (const [id, one] of folded) {
        await slices.next();
        const row = rowOf(view, id, one);
        rows.put(row);
        putBeside(view, store, row, one.row);
      }
    },
  };
};
