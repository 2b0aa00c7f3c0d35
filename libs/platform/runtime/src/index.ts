export * from './derived.js';
export * from './health.js';
export { ContextNats, PlatformModule, type ContextOptions } from './platform.module.js';
export * from './run-service.js';
export * from './run-migrations.js';
