import type { Answer } from '@nexusmon/client';
import type { PageOptions } from './program.js';
import type { Session } from './session.js';

const PAGE_MAX = 200;

type Page<Item> = Readonly<{ data: readonly Item[]; next_cursor: string | null }>;
export type PageQuery = Readonly<{ limit?: number; cursor?: string }>;

const everyPage = async <Item>(
  read: (query: PageQuery) => Promise<Page<Item>>,
  first: PageQuery,
): Promise<Page<Item>> => {
  const data: Item[] = [];
  let query = first;
  for (;;) {
    const page = await read(query);
    data.push(...page.data);
    if (page.next_cursor === null) return { data, next_cursor: null };
    query = { ...query, cursor: page.next_cursor };
  }
};

/** A page of a list, or with `all` every page as one. */
export const listPages = async <Item>(
  { output }: Session,
  { limit, cursor, all }: PageOptions,
  ask: (query: PageQuery) => Promise<Answer<Page<Item>>>,
  rows: (items: readonly Item[]) => string[][],
): Promise<void> => {
  const wanted = limit ?? (all ? PAGE_MAX : undefined);
  const query = { ...(wanted === undefined ? {} : { limit: wanted }), ...(cursor === undefined ? {} : { cursor }) };
  const read = async (page_query: PageQuery) => (await ask(page_query)).body;
  const page = all ? await everyPage(read, query) : await read(query);
  output.answer(page, () => output.table(rows(page.data)));
  if (!output.json && page.next_cursor !== null) output.say(`there is more: --all, or --cursor ${page.next_cursor}`);
};
