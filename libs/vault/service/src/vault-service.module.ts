import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { BlobStore } from '@nexusmon/artifacts';
import { Config, ContextSecrets } from '@nexusmon/config';
import { Derived, Health, PlatformModule } from '@nexusmon/runtime';
import { ArtifactList } from './artifact/artifact-list.js';
import { artifactProjection } from './artifact/artifact.projection.js';
import { ArtifactRequestHandler } from './artifact/artifact.request-handler.js';
import { Artifacts } from './artifact/artifacts.js';
import { BlobPieces } from './artifact/blob-pieces.js';
import { Lineage } from './artifact/lineage.js';
import { withFigures } from './telemetry.js';

const blobStore = {
  provide: BlobStore,
  inject: [Config, ContextSecrets],
  useFactory: ({ s3 }: Config, secrets: ContextSecrets) =>
    new BlobStore({ ...s3, access_key: secrets.get('s3_access_key'), secret_key: secrets.get('s3_secret_key') }),
};

@Module({
  imports: [PlatformModule.forContext('vault')],
  controllers: [ArtifactRequestHandler],
  providers: [blobStore, ArtifactList, Artifacts, BlobPieces, Lineage],
})
export class VaultServiceModule implements OnApplicationShutdown {
  constructor(
    derived: Derived,
    health: Health,
    private readonly blobs: BlobStore,
  ) {
    derived.addProjection(withFigures(artifactProjection));
    health.addProbe('s3', async () => {
      await blobs.prepare();
      return undefined;
    });
  }

  onApplicationShutdown(): void {
    this.blobs.close();
  }
}
