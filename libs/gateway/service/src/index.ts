export { GatewayServiceModule } from './gateway-service.module.js';
export { accessMigrations } from './migrations.js';
