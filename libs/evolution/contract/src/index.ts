export * from './evolution.events.js';
export * from './evolution.requests.js';
export * from './progress.js';
