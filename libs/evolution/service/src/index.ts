export { EvolutionServiceModule } from './evolution-service.module.js';
export { evolutionMigrations } from './migrations.js';
export { progressProjection } from './progress/progress.projection.js';
