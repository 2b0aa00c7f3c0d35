import type { TokenDocument } from '@nexusmon/access-contract';
import { toTokenDocument } from '@nexusmon/access-domain';
import {
  aggregateProjection,
  aggregateViewDdl,
  type Database,
  type PageAnswer,
  type Projection,
} from '@nexusmon/projections';
import { tokenAggregate } from './token.aggregate.js';
import { listOwn, type Listing } from './own-list.js';

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

export const listTokens = (database: Database, listing: Listing): Promise<PageAnswer<TokenDocument>> =>
  listOwn(database, TOKEN_VIEW, listing, toTokenDocument);
