import type { SessionDocument } from '@nexusmon/access-contract';
import { toDocument } from '@nexusmon/access-domain';
import {
  aggregateProjection,
  aggregateViewDdl,
  type Database,
  type PageAnswer,
  type Projection,
} from '@nexusmon/projections';
import { listOwn, type Listing } from './own-list.js';
import { sessionAggregate } from './session.aggregate.js';

const SESSION_VIEW = 'access.session_view';
export const SESSION_PROJECTION = 'access.session';
export const SESSION_VIEW_DDL = `${aggregateViewDdl(SESSION_VIEW, 'session_id', {
  account: 'text not null',
  status: 'text not null',
})}
create index on ${SESSION_VIEW} (account, created_position);`;

/** What an operator is shown of their sessions. Whether one stands is never read here: the log says that. */
export const sessionProjection: Projection = aggregateProjection({
  name: SESSION_PROJECTION,
  context: 'access',
  aggregate: sessionAggregate,
  table: SESSION_VIEW,
  id_column: 'session_id',
  columns: (state) => {
    if (state.status === 'absent') throw new Error('a session has events and is absent');
    return { account: state.account, status: state.status };
  },
});

export const listSessions = (database: Database, listing: Listing): Promise<PageAnswer<SessionDocument>> =>
  listOwn(database, SESSION_VIEW, listing, toDocument);
