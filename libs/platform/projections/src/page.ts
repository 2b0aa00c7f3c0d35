// Pages over a view: newest first by place in the log, which never changes, so that a list is stable while it grows.

import type { Page, Refusal } from '@nexusmon/shared-contract';
import type { Row, Sql } from './database.js';

const NAME = /^[a-z_]+(\.[a-z_]+)?$/;

export type PageQuery<Item> = Readonly<{
  table: string;
  order_column: string;
  limit: number;
  cursor: string | undefined;
  /** Columns that must have these values; undefined ones are no condition. */
  where: Readonly<Record<string, string | undefined>>;
  item: (row: Row) => Item;
}>;

export type PageAnswer<Item> = Readonly<{ page: Page<Item> }> | Readonly<{ refusal: Refusal }>;

export const encodeCursor = (order: unknown): string => Buffer.from(String(order)).toString('base64url');

/** Undefined for what is no cursor. */
export const decodeCursor = (cursor: string): string | undefined => {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  return /^[0-9]{1,18}$/.test(text) ? text : undefined;
};

export const readPage = async <Item>(sql: Sql, query: PageQuery<Item>): Promise<PageAnswer<Item>> => {
  const { table, order_column, limit, cursor, where, item } = query;
  for (const name of [table, order_column, ...Object.keys(where)])
    if (!NAME.test(name)) throw new TypeError(`${name} is not a name of ours`);
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  if (cursor !== undefined && after === undefined)
    return { refusal: { code: 'malformed-cursor', detail: 'the cursor is not one of this list' } };

  const wanted = Object.entries(where).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const parameters = [...wanted.map(([, value]) => value), ...(after === undefined ? [] : [after])];
  const conditions = [
    ...wanted.map(([column], index) => `${column} = $${index + 1}`),
    ...(after === undefined ? [] : [`${order_column} < $${parameters.length}`]),
  ];
  const filter = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  const { rows } = await sql.query(
    `select * from ${table} ${filter} order by ${order_column} desc limit ${limit + 1}`,
    parameters,
  );
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { page: { data: shown.map(item), next_cursor: last ? encodeCursor(last[order_column]) : null } };
};
