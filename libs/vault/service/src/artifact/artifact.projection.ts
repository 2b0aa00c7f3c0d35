import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import { orderOf, type OpenCommit, type Projection, type Row } from '@nexusmon/projections';
import type { ArtifactDocument, ArtifactEvent } from '@nexusmon/vault-contract';
import { toDocument } from '@nexusmon/vault-domain';
import { artifactAggregate } from './artifact.aggregate.js';

/** One row for each version of each series. `position` and `place` are where its event stands: what lists go by. */
export const ARTIFACT_VIEW = 'vault.artifact_view';
/** One row for each artifact that another was made from. */
export const ARTIFACT_INPUT = 'vault.artifact_input';
export const ARTIFACT_PROJECTION = 'vault.artifact';

const rowOf = (commit: OpenCommit['commit'], event: RecordedEvent, document: ArtifactDocument): Row => {
  const { artifact_id, name, version, mission_id, task_id, kind, sha256 } = document;
  const place = { position: orderOf(commit), place: event.index, position_text: commit.position() };
  return { artifact_id, name, version, mission_id, task_id, kind, sha256, ...place, document };
};

/** Artifacts never change, so a row is written once; folding the same event again writes the same row. */
export const artifactProjection: Projection = {
  name: ARTIFACT_PROJECTION,
  context: 'vault',
  reads: [artifactAggregate],
  tables: [
    { name: ARTIFACT_VIEW, key: ['artifact_id'] },
    { name: ARTIFACT_INPUT, key: ['artifact_id', 'input_id'] },
  ],
  on: (commits, store) => {
    const [rows, inputs] = [store.table(ARTIFACT_VIEW), store.table(ARTIFACT_INPUT)];
    for (const { commit, events } of commits)
      for (const event of events) {
        const document = toDocument(messageOf(event) as ArtifactEvent);
        const { artifact_id } = document;
        rows.put(rowOf(commit, event, document));
        for (const input_id of new Set(document.inputs)) inputs.put({ artifact_id, input_id });
      }
  },
};
