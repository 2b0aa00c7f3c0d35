export { artifactProjection } from './artifact/artifact.projection.js';
export { vaultMigrations } from './migrations.js';
export { VaultServiceModule } from './vault-service.module.js';
