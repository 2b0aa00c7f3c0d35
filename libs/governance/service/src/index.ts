export { GovernanceServiceModule } from './governance-service.module.js';
export { governanceMigrations } from './migrations/index.js';
export { Restorations } from './restoration/restorations.js';
