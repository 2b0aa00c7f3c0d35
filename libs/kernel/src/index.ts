export * from './decider.js';
export * from './json.js';
export * from './instant.js';
