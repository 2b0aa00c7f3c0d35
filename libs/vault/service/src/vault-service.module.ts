import {
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { BlobStore, StagingStore } from '@nexusmon/artifacts';
import { Config, ContextSecrets } from '@nexusmon/config';
import { Derived, Health, PlatformModule } from '@nexusmon/runtime';
import { ArtifactList } from './artifact/artifact-list.js';
import { artifactProjection } from './artifact/artifact.projection.js';
import { ArtifactRequestHandler } from './artifact/artifact.request-handler.js';
import { Artifacts } from './artifact/artifacts.js';
import { BlobArrivals } from './artifact/blob-arrivals.js';
import { BlobChecks } from './artifact/blob-checks.js';
import { BlobPieces } from './artifact/blob-pieces.js';
import { BlobRemoval, removeBlobs } from './artifact/blob-removal.js';
import { EnclosureStore } from './artifact/enclosure-store.js';
import { Lineage } from './artifact/lineage.js';
import { MissionStanding } from './artifact/mission-standing.js';
import { Uploads } from './artifact/uploads.js';
import { withFigures } from './telemetry.js';

const storeOptions = ({ s3 }: Config, secrets: ContextSecrets) => ({
  ...s3,
  access_key: secrets.get('s3_access_key'),
  secret_key: secrets.get('s3_secret_key'),
});
const inject = [Config, ContextSecrets];

const stores = [
  {
    provide: BlobStore,
    inject,
    useFactory: (config: Config, secrets: ContextSecrets) => new BlobStore(storeOptions(config, secrets)),
  },
  {
    provide: StagingStore,
    inject,
    useFactory: (config: Config, secrets: ContextSecrets) => new StagingStore(storeOptions(config, secrets)),
  },
  {
    provide: EnclosureStore,
    inject,
    useFactory: (config: Config, secrets: ContextSecrets) =>
      new EnclosureStore({ ...storeOptions(config, secrets), space: 'enclosures' }),
  },
];

@Module({
  imports: [PlatformModule.forContext('vault')],
  controllers: [ArtifactRequestHandler],
  providers: [
    ...stores,
    ...[ArtifactList, Artifacts, BlobArrivals, BlobChecks, BlobPieces, BlobRemoval, Lineage, MissionStanding, Uploads],
  ],
})
export class VaultServiceModule implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    derived: Derived,
    health: Health,
    private readonly blobs: BlobStore,
    private readonly enclosures: EnclosureStore,
    private readonly staging: StagingStore,
    private readonly checks: BlobChecks,
    private readonly uploads: Uploads,
    removal: BlobRemoval,
  ) {
    derived.addProjection(withFigures(artifactProjection));
    derived.addReactor(removeBlobs(removal));
    health.addDetail('blobs', () => checks.state);
    health.addProbe('s3', async () => {
      await blobs.prepare();
      return undefined;
    });
  }

  onApplicationBootstrap(): void {
    this.checks.start();
    this.uploads.start();
  }

  beforeApplicationShutdown(): void {
    this.checks.close();
    this.uploads.close();
  }

  onApplicationShutdown(): void {
    this.blobs.close();
    this.staging.close();
    this.enclosures.close();
  }
}
