export * from './config.js';
export * from './secrets.js';
export * from './settings.js';
