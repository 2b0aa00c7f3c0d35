import type { SessionDocument } from '@nexusmon/access-contract';
import { toDocument, type ExistingSession } from '@nexusmon/access-domain';
import {
  aggregateProjection,
  aggregateViewDdl,
  readPage,
  type Database,
  type PageAnswer,
  type Projection,
} from '@nexusmon/projections';
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

export type Listing = Readonly<{ account: string; limit: number; cursor: string | undefined }>;

export const listSessions = (
  database: Database,
  { account, limit, cursor }: Listing,
): Promise<PageAnswer<SessionDocument>> =>
  readPage(database, {
    ...{ table: SESSION_VIEW, order_column: 'created_position', limit, cursor, where: { account } },
    item: (row) => toDocument(row['state'] as ExistingSession, new Date().toISOString()),
  });
