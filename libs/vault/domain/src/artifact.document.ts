import type { ArtifactDocument, ArtifactEvent } from '@nexusmon/vault-contract';
import type { EventOf } from './artifact.js';

/** What begins a version. */
export type Begun = EventOf<'ArtifactRecorded'> | EventOf<'ArtifactUploaded'>;

const linksOf = (artifact_id: string): ArtifactDocument['links'] => {
  const self = `/v1/vault/artifacts/${artifact_id}`;
  return { self, content: `${self}/content`, versions: `${self}/versions`, lineage: `${self}/lineage` };
};

export const toDocument = ({ type, actor, time, data }: Begun): ArtifactDocument => {
  const links = linksOf(data.artifact_id);
  if (type === 'ArtifactUploaded') return { ...data, uploaded_by: actor, created_at: time, links };
  return { ...data, created_at: time, links: { ...links, mission: `/v1/engine/missions/${data.mission_id}` } };
};

/** The document after what happened to its version later. */
export const afterwards = (
  document: ArtifactDocument,
  { type, actor, time, data }: Exclude<ArtifactEvent, Begun>,
): ArtifactDocument => {
  const { damage: _damage, damaged_at: _damaged_at, ...sound } = document;
  switch (type) {
    case 'ArtifactDeleted':
      return { ...sound, deleted_at: time, deleted_by: actor, deleted_reason: data.reason };
    case 'ArtifactDamaged':
      return { ...sound, damage: data.damage, damaged_at: time };
    case 'ArtifactMended':
      return sound;
  }
};
