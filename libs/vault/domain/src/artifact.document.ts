import type { ArtifactDocument, ArtifactEvent } from '@nexusmon/vault-contract';
import type { EventOf } from './artifact.js';

type Recorded = EventOf<'ArtifactRecorded'>;

const linksOf = ({ artifact_id, mission_id }: Recorded['data']): ArtifactDocument['links'] => {
  const self = `/v1/vault/artifacts/${artifact_id}`;
  const mission = `/v1/engine/missions/${mission_id}`;
  return { self, content: `${self}/content`, versions: `${self}/versions`, lineage: `${self}/lineage`, mission };
};

export const toDocument = ({ time, data }: Pick<Recorded, 'time' | 'data'>): ArtifactDocument => ({
  ...data,
  created_at: time,
  links: linksOf(data),
});

/** The document after what happened to its version later. */
export const afterwards = (
  document: ArtifactDocument,
  { type, actor, time, data }: Exclude<ArtifactEvent, Recorded>,
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
