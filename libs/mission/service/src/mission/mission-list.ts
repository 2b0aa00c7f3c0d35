// Reading the list of missions: the newest first, by place in the log, which never changes.
//
//   L1. A page is found in narrow rows by filters, order and cursor; the documents of that page alone are read. Nothing
//       is counted, and nothing in front of the cursor is looked at.
//   L2. What is added meanwhile stands in front of every cursor: paging neither skips nor repeats.
//   L3. A search goes by the words of the goal, each anywhere in it, in whatever case.

import { Injectable } from '@nestjs/common';
import type { listMissions, MissionDocument } from '@nexusmon/mission-contract';
import { toDocument, type ExistingMission } from '@nexusmon/mission-domain';
import { Database, decodeCursor, encodeCursor } from '@nexusmon/projections';
import type { Page } from '@nexusmon/shared-contract';
import type { z } from 'zod';
import { MISSION_GOAL_VIEW, MISSION_LIST_VIEW, MISSION_VIEW } from './mission.projection.js';

export type MissionListQuery = Omit<z.infer<typeof listMissions>, 'min_position'>;

export class MalformedCursor extends Error {
  override readonly name = 'MalformedCursor';
}

/** Values stand for columns that must have them. */
const EQUAL = ['status', 'category', 'rank', 'effective_rank', 'requested_by', 'template'] as const;
const NEEDS = { approval: 'l.awaits_approval', review: 'l.flagged' } as const;

/** What has a meaning in a pattern, taken literally. */
const literal = (word: string): string => word.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`);

type Statement = Readonly<{ sql: string; parameters: readonly unknown[] }>;

/** The ids of one page and of one more, in order. */
export const pageStatement = (query: MissionListQuery): Statement => {
  const parameters: unknown[] = [];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  if (query.cursor !== undefined && after === undefined)
    throw new MalformedCursor('the cursor is not one of this list');
  const { tag, needs, created_from, created_before, search } = query;
  const conditions = [
    ...EQUAL.flatMap((name) => (query[name] === undefined ? [] : [`l.${name} = ${bind(query[name])}`])),
    ...(needs === undefined ? [] : [NEEDS[needs]]),
    ...(tag === undefined ? [] : [`l.tags @> array[${bind(tag)}]`]),
    ...(created_from === undefined ? [] : [`l.created_at >= ${bind(created_from)}`]),
    ...(created_before === undefined ? [] : [`l.created_at < ${bind(created_before)}`]),
    ...(after === undefined ? [] : [`l.created_position < ${bind(after)}`]),
    ...(search ?? '')
      .split(/\s+/)
      .flatMap((word) => (word === '' ? [] : [`g.goal ilike ${bind(`%${literal(word)}%`)}`])),
  ];
  const goals = search === undefined ? '' : `join ${MISSION_GOAL_VIEW} g using (mission_id)`;
  const filter = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return {
    sql: `select l.mission_id, l.created_position from ${MISSION_LIST_VIEW} l ${goals} ${filter}
      order by l.created_position desc limit ${query.limit + 1}`,
    parameters,
  };
};

@Injectable()
export class MissionList {
  constructor(private readonly database: Database) {}

  /** Throws `MalformedCursor`. */
  async page(query: MissionListQuery): Promise<Page<MissionDocument>> {
    const { sql, parameters } = pageStatement(query);
    const { rows } = await this.database.query<{ state: ExistingMission; created_position: string }>(
      `select m.state, p.created_position from (${sql}) p join ${MISSION_VIEW} m using (mission_id)
       order by p.created_position desc`,
      parameters,
    );
    const shown = rows.slice(0, query.limit);
    const last = rows.length > query.limit ? shown.at(-1) : undefined;
    return {
      data: shown.map(({ state }) => toDocument(state)),
      next_cursor: last ? encodeCursor(last.created_position) : null,
    };
  }

  async countByStatus(): Promise<Readonly<Record<string, number>>> {
    const { rows } = await this.database.query<{ status: string; count: string }>(
      `select status, count(*) as count from ${MISSION_LIST_VIEW} group by status order by status`,
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]));
  }
}
