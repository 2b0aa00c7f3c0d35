// Figures of artifacts, counted once per process.

import { counted, type Projection } from '@nexusmon/projections';
import { counter } from '@nexusmon/telemetry';

const artifacts = counter('nexusmon_artifacts', { says: 'Artifacts recorded.' });
const artifactBytes = counter('nexusmon_artifacts_bytes', { says: 'Bytes of the artifacts recorded.' });

/** The artifacts' projection, with its figures counted. */
export const withFigures = (projection: Projection): Projection =>
  counted(projection, (commits) => {
    for (const { events } of commits)
      for (const { name, data } of events) {
        if (name !== 'ArtifactRecorded' && name !== 'ArtifactUploaded') continue;
        artifacts();
        artifactBytes({}, Number(data['size']));
      }
  });
