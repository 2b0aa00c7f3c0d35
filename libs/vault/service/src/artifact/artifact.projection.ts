import { messageOf, type RecordedEvent } from '@nexusmon/event-log';
import { orderOf, type OpenCommit, type Projection, type Row, type TableStore } from '@nexusmon/projections';
import type { ArtifactDocument, ArtifactEvent } from '@nexusmon/vault-contract';
import { afterwards, toDocument, type Begun } from '@nexusmon/vault-domain';
import { artifactAggregate } from './artifact.aggregate.js';

/** One row for each version of each series. `position` and `place` are where it was recorded: what lists go by. */
export const ARTIFACT_VIEW = 'vault.artifact_view';
/** One row for each artifact that another was made from. */
export const ARTIFACT_INPUT = 'vault.artifact_input';
export const ARTIFACT_PROJECTION = 'vault.artifact';

type Commit = OpenCommit['commit'];

/** What a row is found by, of what the document says. */
const columnsOf = (document: ArtifactDocument): Row => {
  const { artifact_id, name, version, mission_id, task_id, kind, sha256, deleted_at, damage } = document;
  const standing = { deleted: deleted_at !== undefined, damaged: damage !== undefined };
  return { artifact_id, name, version, mission_id, task_id, kind, sha256, ...standing, document };
};

const begun = (commit: Commit, { index, causationid }: RecordedEvent, event: Begun): Row => ({
  ...columnsOf(toDocument(event)),
  // What an Idempotency-Key is told by: the name of an upload is part of what the key is bound to.
  upload_command: event.type === 'ArtifactUploaded' ? causationid : null,
  position: orderOf(commit),
  place: index,
  position_text: commit.position(),
});

const fold = async (rows: TableStore, inputs: TableStore, commit: Commit, read: RecordedEvent): Promise<void> => {
  const event = messageOf(read) as ArtifactEvent;
  const { artifact_id } = event.data;
  if (event.type === 'ArtifactRecorded' || event.type === 'ArtifactUploaded') {
    rows.put(begun(commit, read, event));
    for (const input_id of new Set(event.data.inputs)) inputs.put({ artifact_id, input_id });
    return;
  }
  const row = await rows.get(artifact_id);
  if (!row) throw new RangeError(`${event.type} of ${artifact_id}, which was never recorded`);
  const document = afterwards(row['document'] as ArtifactDocument, event);
  rows.put({ ...row, ...columnsOf(document), position_text: commit.position() });
};

export const artifactProjection: Projection = {
  name: ARTIFACT_PROJECTION,
  context: 'vault',
  reads: [artifactAggregate],
  tables: [
    { name: ARTIFACT_VIEW, key: ['artifact_id'] },
    { name: ARTIFACT_INPUT, key: ['artifact_id', 'input_id'] },
  ],
  on: async (commits, store) => {
    const [rows, inputs] = [store.table(ARTIFACT_VIEW), store.table(ARTIFACT_INPUT)];
    for (const { commit, events } of commits) for (const event of events) await fold(rows, inputs, commit, event);
  },
};
