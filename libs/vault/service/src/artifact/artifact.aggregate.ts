import type { Aggregate } from '@nexusmon/event-log';
import { artifactEvents, type ArtifactEvent } from '@nexusmon/vault-contract';
import {
  artifactSeries,
  type ArtifactCommand,
  type ArtifactRejection,
  type ArtifactSeries,
} from '@nexusmon/vault-domain';

export const artifactAggregate: Aggregate<ArtifactSeries, ArtifactCommand, ArtifactEvent, ArtifactRejection> = {
  context: 'vault',
  name: 'artifact',
  decider: artifactSeries,
  events: artifactEvents,
  state_version: 2,
};
