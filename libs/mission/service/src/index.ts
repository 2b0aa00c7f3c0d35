export { missionMigrations } from './migrations/index.js';
export { MissionServiceModule } from './mission-service.module.js';
