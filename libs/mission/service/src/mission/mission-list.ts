// Reading the list of missions: the newest first, by place in the log, which never changes.
//
//   L1. A page is found in narrow rows by filters, order and cursor; the documents of that page alone are read. Nothing
//       is counted, and nothing in front of the cursor is looked at. It has fewer where they are large.
//   L2. Neither what is added nor what changes meanwhile moves a row: paging neither skips nor repeats what was there.
//   L3. A search goes by the words of the goal, each anywhere in it, in whatever case.
//   L4. A range of times is in the order of those times: it is found by them, wherever in the log it lies.
//   L5. What several conditions leave over is looked for among the newest rows first, where much of it is found at
//       once, and only then among all by whatever index has the least of it. Which of the two is quicker cannot be
//       guessed: conditions depend on each other, and on the place in the log.
//   L6. What is read for a page is bounded by the size of states and not by their number: those for which one answer
//       has no room are not even fetched, nor is that of the one more which says that there are others.

import { Injectable } from '@nestjs/common';
import type { listMissions, MissionDocument } from '@nexusmon/mission-contract';
import { toDocument, type ExistingMission } from '@nexusmon/mission-domain';
import { Database, encodeCursor } from '@nexusmon/projections';
import { ANSWER_BYTES_MAX, fittingCount, type Page } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { fitted } from './document-size.js';
import { foldCase } from './goal-text.js';
import { MISSION_GOAL_VIEW, MISSION_LIST_VIEW, MISSION_VIEW } from './mission.projection.js';

export type MissionListQuery = Omit<z.infer<typeof listMissions>, 'min_position'>;

export class MalformedCursor extends Error {
  override readonly name = 'MalformedCursor';
}

/** Values stand for columns that must have them. */
const EQUAL = ['status', 'category', 'rank', 'effective_rank', 'requested_by', 'template'] as const;
const NEEDS = { approval: 'awaits_approval', review: 'flagged' } as const;
/** Looked through in a millisecond or two. */
const NEWEST = 2_000;

/** What has a meaning in a pattern, taken literally. */
const literal = (word: string): string => word.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`);
const wordsOf = (search = ''): readonly string[] => search.split(/\s+/).filter((word) => word !== '');

type Statement = Readonly<{ sql: string; parameters: readonly unknown[] }>;
type Bind = (value: unknown) => string;
/** What a row is sorted by. */
type Place = Readonly<{ created_position: string; created_at: string }>;

const isRange = ({ created_from, created_before }: MissionListQuery): boolean =>
  created_from !== undefined || created_before !== undefined;

const orderOf = (query: MissionListQuery): readonly (keyof Place)[] =>
  isRange(query) ? ['created_at', 'created_position'] : ['created_position'];

const cursorOf = (query: MissionListQuery, place: Place): string =>
  encodeCursor(
    orderOf(query)
      .map((column) => place[column])
      .join(' '),
  );

const CURSORS = { created_position: /^\d{1,18}$/, created_at: /^\d{4}-[0-9T:.-]{1,30}Z$/ } as const;

/** The values of the columns that the list is sorted by. */
const placeOf = (query: MissionListQuery, cursor: string): readonly string[] => {
  const order = orderOf(query);
  const values = Buffer.from(cursor, 'base64url').toString('utf8').split(' ');
  if (values.length !== order.length || !order.every((column, index) => CURSORS[column].test(values[index] ?? '')))
    throw new MalformedCursor('the cursor is not one of this list');
  return values;
};

/** Where the page may begin, and where its range ends: what the order itself leads to. */
const placeConditions = (query: MissionListQuery, bind: Bind): readonly string[] => {
  const { created_from, created_before, cursor } = query;
  const columns = orderOf(query).map((column) => `l.${column}`);
  const after = cursor === undefined ? [] : placeOf(query, cursor);
  return [
    ...(created_from === undefined ? [] : [`l.created_at >= ${bind(created_from)}`]),
    ...(created_before === undefined ? [] : [`l.created_at < ${bind(created_before)}`]),
    ...(cursor === undefined ? [] : [`(${columns.join(', ')}) < (${after.map(bind).join(', ')})`]),
  ];
};

const filters = (query: MissionListQuery, bind: Bind): readonly string[] => {
  const { needs, tag } = query;
  return [
    ...EQUAL.flatMap((name) => (query[name] === undefined ? [] : [`l.${name} = ${bind(query[name])}`])),
    ...(needs === undefined ? [] : [`l.${NEEDS[needs]}`]),
    ...(tag === undefined ? [] : [`l.tags @> array[${bind(tag)}]`]),
  ];
};

const where = (...conditions: readonly string[]): string =>
  conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';

/** Whether one index has what is wanted, in its order. */
const isLed = (query: MissionListQuery, conditions: number): boolean =>
  query.tag === undefined && query.search === undefined && conditions <= (isRange(query) ? 0 : 1);

const descending = (query: MissionListQuery, alias: string): string =>
  orderOf(query)
    .map((column) => `${alias}.${column} desc`)
    .join(', ');

/** The ids of one page and of one more. */
export const pageStatement = (query: MissionListQuery): Statement => {
  const parameters: unknown[] = [];
  const bind: Bind = (value) => `$${parameters.push(value)}`;
  const place = placeConditions(query, bind);
  const wanted = filters(query, bind);
  const words = wordsOf(query.search).map((word) => bind(`%${literal(foldCase(word))}%`));
  // Goals have their place in the log beside them: where nothing else is asked, they are enough.
  const goals_alone = words.length > 0 && wanted.length === 0 && !isRange(query);
  const table = goals_alone ? MISSION_GOAL_VIEW : MISSION_LIST_VIEW;
  const goals = words.length === 0 || goals_alone ? '' : `join ${MISSION_GOAL_VIEW} g using (mission_id)`;
  const conditions = [...wanted, ...words.map((word) => `${goals_alone ? 'l' : 'g'}.goal like ${word}`)];
  const columns = ['mission_id', ...orderOf(query)].map((column) => `l.${column}`).join(', ');
  const order = `order by ${descending(query, 'l')}`;
  const limit = query.limit + 1;
  if (isLed(query, conditions.length)) {
    const sql = `select ${columns} from ${table} l ${where(...place, ...conditions)} ${order} limit ${limit}`;
    return { sql, parameters };
  }
  const newest = `(select * from ${table} l ${where(...place)} ${order} limit ${NEWEST}) l`;
  // `offset 0`: what there is is found first, by whatever has the least of it, and sorted then.
  const all = `(select ${columns} from ${table} l ${goals} ${where(...place, ...conditions)} offset 0) l`;
  const sql = `with near as (select ${columns} from ${newest} ${goals} ${where(...conditions)} ${order} limit ${limit}),
    found as (select count(*) >= ${limit} as enough from near)
    select * from near where (select enough from found)
    union all (select * from ${all} where not (select enough from found) ${order} limit ${limit})`;
  return { sql, parameters };
};

/** The page's rows, and of those that it has room for, the first of them in any case, the states (L6). */
export const listStatement = (query: MissionListQuery): Statement => {
  const { sql, parameters } = pageStatement(query);
  const columns = orderOf(query)
    .map((column) => `s.${column}`)
    .join(', ');
  const room = `s.place = 1 or s.place <= ${query.limit} and s.bytes <= ${ANSWER_BYTES_MAX}`;
  return {
    sql: `select case when ${room} then s.state end as state, ${columns} from (
        select p.*, m.state, row_number() over w as place, sum(m.state_bytes) over w as bytes
        from (${sql}) p join ${MISSION_VIEW} m using (mission_id)
        window w as (order by ${descending(query, 'p')} rows unbounded preceding)
      ) s order by s.place`,
    parameters,
  };
};

@Injectable()
export class MissionList {
  constructor(private readonly database: Database) {}

  /** Throws `MalformedCursor`. */
  async page(query: MissionListQuery): Promise<Page<MissionDocument>> {
    const { sql, parameters } = listStatement(query);
    const { rows } = await this.database.query<{ state: ExistingMission | null } & Place>(sql, parameters);
    const documents = rows.flatMap(({ state }) => (state === null ? [] : [fitted(toDocument(state))]));
    const data = documents.slice(0, fittingCount(documents));
    const last = data.length < rows.length ? rows[data.length - 1] : undefined;
    return { data, next_cursor: last ? cursorOf(query, last) : null };
  }

  async countByStatus(): Promise<Readonly<Record<string, number>>> {
    const { rows } = await this.database.query<{ status: string; count: string }>(
      `select status, count(*) as count from ${MISSION_LIST_VIEW} group by status order by status`,
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]));
  }
}
