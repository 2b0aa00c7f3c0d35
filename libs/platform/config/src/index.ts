export * from './command-line.js';
export * from './config.js';
export * from './secrets.js';
export * from './settings.js';
