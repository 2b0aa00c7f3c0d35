export { EvolutionServiceModule } from './evolution-service.module.js';
export { evolutionMigrations } from './migrations/index.js';
export { progressProjection } from './progress/progress.projection.js';
