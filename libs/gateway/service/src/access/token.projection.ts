import type { TokenDocument } from '@nexusmon/access-contract';
import { toTokenDocument, type ExistingToken } from '@nexusmon/access-domain';
import {
  aggregateProjection,
  aggregateViewDdl,
  readPage,
  type Database,
  type PageAnswer,
  type Projection,
} from '@nexusmon/projections';
import { tokenAggregate } from './token.aggregate.js';
import type { Listing } from './session.projection.js';

const TOKEN_VIEW = 'access.token_view';
export const TOKEN_PROJECTION = 'access.token';
export const TOKEN_VIEW_DDL = `${aggregateViewDdl(TOKEN_VIEW, 'token_id', { account: 'text not null' })}
create index on ${TOKEN_VIEW} (account, created_position);`;

/** What an operator is shown of their API tokens. Whether one counts is never read here: the log says that. */
export const tokenProjection: Projection = aggregateProjection({
  name: TOKEN_PROJECTION,
  context: 'access',
  aggregate: tokenAggregate,
  table: TOKEN_VIEW,
  id_column: 'token_id',
  columns: (state) => {
    if (state.status === 'absent') throw new Error('a token has events and is absent');
    return { account: state.account };
  },
});

export const listTokens = (
  database: Database,
  { account, limit, cursor }: Listing,
): Promise<PageAnswer<TokenDocument>> =>
  readPage(database, {
    ...{ table: TOKEN_VIEW, order_column: 'created_position', limit, cursor, where: { account } },
    item: (row) => toTokenDocument(row['state'] as ExistingToken, new Date().toISOString()),
  });
