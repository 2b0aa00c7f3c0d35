import { readPage, type Database, type PageAnswer } from '@nexusmon/projections';

export type Listing = Readonly<{ account: string; limit: number; cursor: string | undefined }>;

/** A page of what an account has, the newest first, by the states in a view of an aggregate. */
export const listOwn = <State, Item>(
  database: Database,
  table: string,
  { account, limit, cursor }: Listing,
  documentOf: (state: State, time: string) => Item,
): Promise<PageAnswer<Item>> =>
  readPage(database, {
    ...{ table, order_column: 'created_position', limit, cursor, where: { account } },
    item: (row) => documentOf(row['state'] as State, new Date().toISOString()),
  });
