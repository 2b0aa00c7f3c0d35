import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import { orderOf, type OpenCommit, type Projection, type Row } from '@nexusmon/projections';
import type { ArtifactEvent } from '@nexusmon/vault-contract';
import { toDocument } from '@nexusmon/vault-domain';
import { artifactAggregate } from './artifact.aggregate.js';

export const ARTIFACT_VIEW = 'vault.artifact_view';
export const ARTIFACT_PROJECTION = 'vault.artifact';

/** One row for each version of each series. `position` and `place` are where its event stands: what lists go by. */
export const ARTIFACT_VIEW_DDL = `
create table ${ARTIFACT_VIEW} (
  artifact_id text primary key,
  name text not null,
  version integer not null,
  mission_id text not null,
  sha256 text not null,
  position bigint not null,
  place integer not null,
  position_text text not null,
  document jsonb not null
);
create index on ${ARTIFACT_VIEW} (position, place);
create index on ${ARTIFACT_VIEW} (mission_id, position, place);
create index on ${ARTIFACT_VIEW} (name, version);`;

const rowOf = (commit: OpenCommit['commit'], event: RecordedEvent): Row => {
  const document = toDocument(messageOf(event) as ArtifactEvent);
  const { artifact_id, name, version, mission_id, sha256 } = document;
  const place = { position: orderOf(commit), place: event.index, position_text: commit.position() };
  return { artifact_id, name, version, mission_id, sha256, ...place, document };
};

/** Artifacts never change, so a row is written once; folding the same event again writes the same row. */
export const artifactProjection: Projection = {
  name: ARTIFACT_PROJECTION,
  context: 'vault',
  reads: [artifactAggregate],
  tables: [{ name: ARTIFACT_VIEW, key: ['artifact_id'] }],
  on: (commits, store) => {
    const rows = store.table(ARTIFACT_VIEW);
    for (const { commit, events } of commits) for (const event of events) rows.put(rowOf(commit, event));
  },
};
