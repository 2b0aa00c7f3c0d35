export * from './capabilities.js';
export * from './grant.js';
export * from './policy.js';
export * from './progress.js';
export * from './stage.js';
